"""Fits and probabilities of DataFrames of Spark: those of the same rows in memory."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softreg.spark
from softreg import SoftmaxRegression, SoftmaxRegressionCV
from softreg.rows.cluster.fragments import FragmentError
from softreg.rows.cluster.spark_engine import SparkEngine

pytestmark = pytest.mark.slow  # Spark takes some ten seconds to start
N = 2_000
NAMES = ["a", "b", "n"]


def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    X = random.normal(size=(N, 2))
    n = random.integers(0, 5, N)
    scores = np.stack([X[:, 0], X[:, 1], 0.3 * n], axis=1) + random.gumbel(size=(N, 3))
    label = np.array(["no", "maybe", "yes"])[scores.argmax(axis=1)]
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "n": n, "w": random.integers(1, 4, N) / 2, "label": label})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of two Parquet files, the second one with two row groups that are read together."""
    folder = tmp_path_factory.mktemp("rows")
    table = pa.Table.from_pandas(frame(), preserve_index=False)
    pq.write_table(table.slice(0, 700), folder / "part-0.parquet")
    pq.write_table(table.slice(700), folder / "part-1.parquet", row_group_size=1_000)
    (folder / "_SUCCESS").touch()
    return str(folder)


@pytest.fixture(scope="module")
def df(spark: Any, path: str) -> Any:
    return spark.read.parquet(path)


def check_same(model: Any, one: Any) -> None:
    assert model.solution_.status.value == "converged"
    assert model.classes_.tolist() == one.classes_.tolist()
    assert abs(model.solution_.value - one.solution_.value) < 2e-8


def in_memory(label: Any = None, **more: Any) -> Any:
    rows = frame()
    return SoftmaxRegression(1e-3, tol=1e-8).fit(rows[NAMES], rows["label"] if label is None else label, **more)


ESTIMATOR = SoftmaxRegression(1e-3, tol=1e-8)


def test_a_data_frame_and_files_give_the_fit_in_memory(spark: Any, df: Any, path: str, tmp_path: Path) -> None:
    one = in_memory()
    of_files = softreg.spark.fit(path, label="label", features=NAMES, estimator=ESTIMATOR)
    check_same(of_files, one)
    assert of_files.feature_names_in_.tolist() == NAMES
    of_frame = softreg.spark.fit(df.drop("w"), label="label", estimator=ESTIMATOR, folder=tmp_path)
    check_same(of_frame, one)
    assert of_frame is not ESTIMATOR
    assert not hasattr(ESTIMATOR, "coef_")
    assert list(tmp_path.iterdir()) == []  # the files are deleted


def test_the_strength_by_cross_validation(spark: Any, path: str) -> None:
    estimator = SoftmaxRegressionCV([1e-3, 1e-1], cv=3)
    model = softreg.spark.fit(path, label="label", features=NAMES, estimator=estimator)
    assert isinstance(model, SoftmaxRegressionCV)
    assert model.strength_ == 1e-3
    assert model.solution_.status.value == "converged"
    assert not hasattr(estimator, "coef_")
    with pytest.raises(ValueError, match=r"estimator is dict; softreg\.spark.fit takes a Soft"):
        softreg.spark.fit(path, label="label", estimator={})


def test_weights_of_rows(spark: Any, path: str) -> None:
    check_same(
        softreg.spark.fit(path, label="label", weight="w", estimator=ESTIMATOR),
        in_memory(sample_weight=frame()["w"]),
    )


@pytest.mark.parametrize("kind", ["int", "bool", "double"])
def test_labels_of_other_types(spark: Any, tmp_path: Path, kind: str) -> None:
    rows = frame()
    label = (rows["label"] == "yes").astype({"int": np.int32, "bool": bool, "double": float}[kind])
    rows[NAMES].assign(label=label).to_parquet(tmp_path / "rows.parquet")
    model = softreg.spark.fit(tmp_path / "rows.parquet", label="label", estimator=ESTIMATOR, spark=spark)
    check_same(model, in_memory(label))
    assert model.classes_.dtype.kind == {"int": "i", "bool": "b", "double": "f"}[kind]


@pytest.mark.parametrize("form", ["array", "dense vector", "sparse vector"])
def test_a_column_of_vectors(spark: Any, form: str) -> None:
    linalg, functions = pytest.importorskip("pyspark.ml.linalg"), pytest.importorskip("pyspark.ml.functions")
    rows = frame()
    X, labels = rows[NAMES].to_numpy(), rows["label"].tolist()
    if form == "sparse vector":
        sparse = [linalg.Vectors.sparse(60, [0, 20, 59], v) for v in X.tolist()]
        vectors = spark.createDataFrame(list(zip(labels, sparse, strict=True)), ["label", "features"])
        wide = np.zeros((N, 60))
        wide[:, [0, 20, 59]] = X
        X = wide
    else:
        vectors = spark.createDataFrame(list(zip(labels, X.tolist(), strict=True)), ["label", "features"])
    if form == "dense vector":
        vectors = vectors.select("label", functions.array_to_vector("features").alias("features"))
    model = softreg.spark.fit(vectors, label="label", features="features", estimator=ESTIMATOR)
    check_same(model, SoftmaxRegression(1e-3, tol=1e-8).fit(X, labels))
    assert not hasattr(model, "feature_names_in_")
    scored = softreg.spark.predict_proba(model, vectors, features="features").limit(5).toPandas()
    np.testing.assert_allclose(np.stack(scored["probability"]), model.predict_proba(X[:5]), rtol=1e-12)


def test_probabilities_are_those_of_the_model(spark: Any, df: Any) -> None:
    model = in_memory()
    scored = softreg.spark.predict_proba(model, df, output="P").toPandas()
    assert list(scored.columns) == [*NAMES, "w", "label", "P"]
    np.testing.assert_allclose(np.stack(scored["P"]), model.predict_proba(scored[NAMES]), rtol=1e-12)
    gaps = spark.createDataFrame([(1.0, 2.0, 3.0), (None, 2.0, 3.0)], NAMES)
    assert [row.probability is None for row in softreg.spark.predict_proba(model, gaps).collect()] == [False, True]
    with pytest.raises(ValueError, match="lacks the columns 'b' of the model"):
        softreg.spark.predict_proba(model, df.drop("b"))
    with pytest.raises(ValueError, match="without names of columns"):
        softreg.spark.predict_proba(SoftmaxRegression().fit(np.eye(2), [0, 1]), df)


def test_each_fault_of_a_data_frame_is_one_error(spark: Any, df: Any, tmp_path: Path) -> None:
    from pyspark.sql.functions import col, lit, when

    def fit(rows: Any, label: str = "label", **more: Any) -> Any:
        return softreg.spark.fit(rows, label=label, folder=tmp_path, **more)

    with pytest.raises(ValueError, match=r"do not hold numbers: 'label' \(string\). Encode them as numbers, or name"):
        fit(df, label="n")
    with pytest.raises(ValueError, match="there is no column 'y'; the columns are 'a', 'b'"):
        fit(df, label="y")
    with pytest.raises(ValueError, match="used twice"):
        fit(df, features=["a", "label"])
    gap = when(col("n") > 0, col("a")).alias("gap")
    with pytest.raises(ValueError, match=r"the column 'gap' has [\d,]+ missing values in row group.* Fill them"):
        fit(df.select(gap, "label"))
    with pytest.raises(ValueError, match=r"column 'nan' has a missing value in row 0"):
        fit(df.select("a", lit(float("nan")).alias("nan"), "label"))
    with pytest.raises(ValueError, match=r"the column 'label' has [\d,]+ missing values"):
        fit(df.select("a", when(col("n") > 0, col("label")).alias("label")))
    with pytest.raises(ValueError, match=r"there are no rows"):
        fit(df.select("a", "label").limit(0))
    with pytest.raises(TypeError, match=r"df is DataFrame, not a DataFrame of Spark or a path. For rows in memory"):
        fit(frame())
    with pytest.raises(ValueError, match="'dbfs:/tmp' is no path of a mounted file system"):
        softreg.spark.fit(df, label="label", features=NAMES, folder="dbfs:/tmp")
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        fit(str(tmp_path / "none.parquet"))
    assert list(tmp_path.iterdir()) == []  # the files are deleted after an error, too


def test_a_cluster_needs_a_folder() -> None:
    class Cluster:
        class sparkContext:
            master = "spark://host:7077"

    with pytest.raises(ValueError, match="pass folder="):
        softreg.spark._folder(Cluster(), None)


def test_a_changed_file_is_an_error_that_names_it(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tmp_path / "rows.parquet"
    frame()[[*NAMES, "label"]].to_parquet(rows)
    list_fragments = softreg.spark.parquet_fragments

    def list_then_change(*arguments: Any, **more: Any) -> Any:
        fragments = list_fragments(*arguments, **more)
        frame()[[*NAMES, "label"]][:100].to_parquet(rows)
        return fragments

    monkeypatch.setattr(softreg.spark, "parquet_fragments", list_then_change)
    with pytest.raises(FragmentError, match=r"row group 0 of '.*rows\.parquet' changed since the fit began"):
        softreg.spark.fit(rows, label="label", spark=spark)


class KillsAWorker(SparkEngine):
    """Kills (SIGKILL) a Python worker before the third sum."""

    sums = 0

    def map_reduce(self, fragments: Any, task: Any) -> Any:
        self.sums += 1
        if self.sums == 3:
            os.kill(self.map(fragments, process_id)[0], signal.SIGKILL)
        return super().map_reduce(fragments, task)


def process_id(fragment: Any) -> int:
    return os.getpid()


def test_a_fit_has_the_same_bits_after_a_worker_was_killed(
    spark: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = softreg.spark.fit(path, label="label", features=NAMES)
    monkeypatch.setattr(softreg.spark, "SparkEngine", KillsAWorker)
    disturbed = softreg.spark.fit(path, label="label", features=NAMES)
    assert disturbed.coef_.tobytes() == undisturbed.coef_.tobytes()
    assert disturbed.intercept_.tobytes() == undisturbed.intercept_.tobytes()
