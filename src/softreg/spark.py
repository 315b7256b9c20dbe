"""Softmax regression on Spark (`softreg[spark]`): fits of DataFrames and Parquet files, columns of probabilities."""

from __future__ import annotations

import copy
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from softreg.models.estimators.base import LinearClassifier
from softreg.models.estimators.regression import SoftmaxRegression
from softreg.models.inputs.cluster.fragmented_batches import FragmentedBatches
from softreg.models.inputs.cluster.parquet_fragments import BatchColumns, parquet_fragments
from softreg.models.selection.cv_estimator import SoftmaxRegressionCV
from softreg.rows.cluster.spark_engine import SparkEngine

__all__ = ["fit", "predict_proba"]

ROW_GROUP_BYTES = 1 << 25
"""Size of the row groups of a DataFrame that is written, of which a Python worker reads one or a few at a time."""
MAX_LISTED = 10
"""Columns that a message lists."""


def fit(
    df: Any,
    label: str,
    *,
    features: str | Sequence[str] | None = None,
    weight: str | None = None,
    estimator: SoftmaxRegression | SoftmaxRegressionCV | None = None,
    folder: str | os.PathLike[str] | None = None,
    spark: Any = None,
) -> LinearClassifier:
    """Fit softmax regression to a DataFrame of Spark, or to Parquet files, on the workers of its cluster.

    A DataFrame is written once, as Parquet files, from which the Python workers load their share of the rows. A fit
    makes some ten to a hundred passes, each of them a job of `spark.sparkContext.defaultParallelism` tasks. No row
    passes through the JVM or the driver, apart from a sample from which the fit starts. A pass costs Spark some tenths
    of a second whatever it computes: for rows that one machine holds, a fit of `df.toPandas()` is faster. The workers
    need softreg in their Python, which `PYSPARK_PYTHON` names; on one machine set `os.environ["PYSPARK_PYTHON"] =
    sys.executable` before the session is made.

    Parameters
    ----------
    df : pyspark.sql.DataFrame, path or sequence of paths
        Rows: a DataFrame; or Parquet files, or folders of them, under paths that are the same on the driver and all
        workers. Row groups are the units that workers load; a file of one large row group is not divided.
    label : str
        Column of the labels: text, integers, floats or booleans.
    features : str or sequence of str, optional
        Columns of numbers or booleans, or one column of vectors: `VectorUDT` of Spark ML or arrays of numbers. All
        columns but label and weight by default, an identifier too. Vectors with few stored values become sparse rows.
    weight : str, optional
        Column of the row weights.
    estimator : SoftmaxRegression or SoftmaxRegressionCV, optional
        The parameters of the fit; those of `SoftmaxRegression()` by default. It is not changed.
    folder : path, optional
        Folder for the files of a DataFrame, which are deleted after the fit: a file system that the driver and all
        workers have mounted under this path. Needed unless Spark runs in local mode, where it is a temporary folder.
    spark : pyspark.sql.SparkSession, optional
        The session of a fit of Parquet files; the active one by default.

    Returns
    -------
    SoftmaxRegression or SoftmaxRegressionCV
        A fitted copy of the estimator. With columns of numbers, `feature_names_in_` has their names.

    Raises
    ------
    ValueError
        If a column cannot be used, a label or a feature is missing, or `folder` is missing on a cluster; the message
        names the column.
    FileNotFoundError
        If a path does not exist.
    softreg.rows.cluster.fragments.FragmentError
        If a file changes during the fit, or a task crashes every worker that runs it.

    Examples
    --------
    >>> from pyspark.sql import SparkSession
    >>> import softreg.spark
    >>> spark = SparkSession.builder.getOrCreate()
    >>> df = spark.createDataFrame([(0.0, "no"), (1.0, "no"), (2.0, "yes"), (3.0, "yes")], ["x", "bought"])
    >>> model = softreg.spark.fit(df, label="bought", estimator=SoftmaxRegression(0.01))
    >>> model.classes_.tolist(), model.solution_.status.value
    (['no', 'yes'], 'converged')
    """
    estimator = SoftmaxRegression() if estimator is None else estimator
    if not isinstance(estimator, SoftmaxRegression | SoftmaxRegressionCV):
        raise ValueError(
            f"estimator is {type(estimator).__name__}; softreg.spark.fit takes a SoftmaxRegression or a "
            "SoftmaxRegressionCV."
        )
    session = _session(df, spark)
    with _parquet_files(df, label, features, weight, folder) as path:
        fragments = parquet_fragments(path, label=label, features=features, weight=weight)
        with SparkEngine(session) as engine:
            return copy.copy(estimator).fit(FragmentedBatches(fragments, engine), None)


def predict_proba(
    model: LinearClassifier,
    df: Any,
    *,
    features: str | Sequence[str] | None = None,
    output: str = "probability",
) -> Any:
    """Add a column with the probabilities of each class to a DataFrame of Spark.

    Parameters
    ----------
    model : SoftmaxRegression or SoftmaxRegressionCV
        The fitted model.
    df : pyspark.sql.DataFrame
        Rows.
    features : str or sequence of str, optional
        Columns of numbers in the order of the fit, or one column of vectors, as in the fit (`features="features"`);
        the columns of the names of the fit by default.
    output : str
        Name of the new column.

    Returns
    -------
    pyspark.sql.DataFrame
        The DataFrame with a column of type `array<double>`, whose elements are in the order of `model.classes_`. It is
        null in a row in which a feature is missing or not finite.

    Raises
    ------
    ValueError
        If a column is missing, the DataFrame has a column `output`, or the model was fitted without names or with an
        offset.

    Examples
    --------
    >>> from pyspark.sql import SparkSession
    >>> import softreg.spark
    >>> spark = SparkSession.builder.getOrCreate()
    >>> df = spark.createDataFrame([(0.0, "no"), (1.0, "no"), (2.0, "yes"), (3.0, "yes")], ["x", "bought"])
    >>> model = softreg.spark.fit(df, label="bought", estimator=SoftmaxRegression(0.01))
    >>> scored = softreg.spark.predict_proba(model, df)
    >>> scored.columns
    ['x', 'bought', 'probability']
    >>> [round(row.probability[1], 2) for row in scored.orderBy("x").collect()]
    [0.0, 0.09, 0.91, 1.0]
    """
    import pandas as pd
    from pyspark.sql.functions import array, col, pandas_udf

    if getattr(model, "has_offset_", False):
        raise ValueError("the model was fitted with an offset, which softreg.spark.predict_proba does not take.")
    if output in df.columns:
        raise ValueError(f"the DataFrame has a column {output!r} already; name another one: output='...'.")
    kind, (arrays, metadata) = type(model), model.to_state()
    vectors = _feature_vectors(model, df, features)
    if vectors is None:
        names = _feature_names(model, df, features)
        vectors = array(*(col(_quoted(name)).cast("double") for name in names))

    def probabilities(batches: Iterator[Any]) -> Iterator[Any]:
        loaded = kind.from_state(arrays, metadata)
        for batch in batches:
            yield _probabilities(loaded, batch)

    probabilities.__annotations__ = {"batches": Iterator[pd.Series], "return": Iterator[pd.Series]}  # Spark reads them
    return df.withColumn(output, pandas_udf(probabilities, "array<double>")(vectors))


def _probabilities(model: LinearClassifier, batch: Any) -> Any:
    """Return a series of probabilities for a series of vectors; None where a vector is missing or not finite."""
    import pandas as pd

    vectors = [None if vector is None else np.asarray(vector, dtype=float) for vector in batch]
    usable = [k for k, vector in enumerate(vectors) if vector is not None and np.isfinite(vector).all()]
    results: list[Any] = [None] * len(vectors)
    if usable:
        lengths = {len(vectors[k]) for k in usable}  # type: ignore[arg-type]
        if lengths != {model.n_features_in_}:
            raise ValueError(f"vectors have {sorted(lengths)} elements; the model has {model.n_features_in_} features.")
        X: Any = np.stack([vectors[k] for k in usable])  # type: ignore[misc]
        if hasattr(model, "feature_names_in_"):
            X = pd.DataFrame(X, columns=model.feature_names_in_)
        for k, row in zip(usable, model.predict_proba(X), strict=True):
            results[k] = row
    return pd.Series(results, dtype=object)


def _feature_vectors(model: LinearClassifier, df: Any, features: str | Sequence[str] | None) -> Any:
    """Return the column of arrays for one column of vectors; None where `features` is not one."""
    from pyspark.sql.functions import col

    if not isinstance(features, str) or features not in df.columns:
        return None
    kind = df.schema[features].dataType.typeName()
    if kind == "array":
        return col(_quoted(features)).cast("array<double>")
    if kind == "vectorudt":
        from pyspark.ml.functions import vector_to_array

        return vector_to_array(col(_quoted(features)))
    return None


def _feature_names(model: LinearClassifier, df: Any, features: str | Sequence[str] | None) -> list[str]:
    """Return the columns of the features in the order of the fit; raise `ValueError` for those that are missing."""
    if features is not None:
        names = [features] if isinstance(features, str) else list(features)
    elif hasattr(model, "feature_names_in_"):
        names = [str(name) for name in model.feature_names_in_]
    else:
        raise ValueError("the model was fitted without names of columns; name them, or a column of vectors: features=.")
    missing = [name for name in names if name not in df.columns]
    if missing:
        raise ValueError(f"the DataFrame lacks the columns {', '.join(map(repr, missing[:MAX_LISTED]))} of the model.")
    if len(names) != model.n_features_in_:
        raise ValueError(f"there are {len(names)} columns of features; the model has {model.n_features_in_}.")
    return names


@contextmanager
def _parquet_files(
    df: Any, label: str, features: str | Sequence[str] | None, weight: str | None, folder: Any
) -> Iterator[Any]:
    """Provide the path of Parquet files; those of a DataFrame are written here, and deleted in the end."""
    if not hasattr(df, "sparkSession"):
        yield df
        return
    columns = BatchColumns.choose(_arrow_schema(df), label, features, weight)
    parent = _folder(df.sparkSession, folder)
    path = parent / f"softreg-{uuid4().hex}"
    try:
        chosen = df.select(*map(_quoted, columns.names))
        chosen.write.option("parquet.block.size", ROW_GROUP_BYTES).parquet(path.resolve().as_uri())
        yield path
    finally:
        shutil.rmtree(path if folder is not None else parent, ignore_errors=True)


def _arrow_schema(df: Any) -> pa.Schema:
    """Return names and types of the columns; null for a type that Arrow does not have."""
    from pyspark.errors import PySparkTypeError
    from pyspark.sql.pandas.types import to_arrow_type

    fields = []
    for field in df.schema.fields:
        try:
            fields.append((field.name, to_arrow_type(field.dataType)))
        except PySparkTypeError:
            fields.append((field.name, pa.null()))
    return pa.schema(fields)


def _folder(spark: Any, folder: Any) -> Path:
    """Return the folder in which a DataFrame is written."""
    if folder is None:
        if not spark.sparkContext.master.startswith("local"):
            raise ValueError(
                "the rows of the DataFrame are written as Parquet files for the workers of the cluster: pass folder=, "
                "the path of a file system that the driver and all workers have mounted."
            )
        return Path(mkdtemp(prefix="softreg-"))
    if re.match(r"[a-z0-9]+:/", str(folder)):
        raise ValueError(
            f"folder={str(folder)!r} is no path of a mounted file system, from which Python workers read; pass one, "
            "such as /dbfs/tmp in place of dbfs:/tmp."
        )
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"folder={str(folder)!r} does not exist on the driver.")
    return Path(folder)


def _session(df: Any, spark: Any) -> Any:
    """Return the session of a fit; raise an error where there is none."""
    from pyspark.sql import SparkSession

    if hasattr(df, "sparkSession"):
        return df.sparkSession
    if not isinstance(df, (str, os.PathLike, list, tuple)):
        raise TypeError(
            f"df is {type(df).__name__}, not a DataFrame of Spark or a path. For rows in memory use "
            "SoftmaxRegression().fit, or spark.createDataFrame(df)."
        )
    session = spark or SparkSession.getActiveSession()
    if session is None:
        raise ValueError("there is no active session of Spark; pass spark=SparkSession.builder.getOrCreate().")
    return session


def _quoted(name: str) -> str:
    """Return the name of a column in the SQL of Spark, which reads a dot as the field of a struct."""
    return f"`{name.replace('`', '``')}`"
