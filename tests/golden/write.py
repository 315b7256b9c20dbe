"""Write one model file of every kind, with rows and the probabilities predicted for them.

`python tests/golden/write.py FOLDER` writes `NAME.softreg`, the rows `NAME.parquet` (tables) or `NAME.rows.npy`
(arrays), and `NAME.npy`, the probabilities. The files in this folder were written before FORMAT 3 of the model file;
`test_golden.py` checks that today's code still reads them and predicts the same.
"""

from __future__ import annotations

import datetime
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from softreg import SoftmaxRegression, SoftmaxRegressionCV, TableClassifier

N = 120


def array_models() -> dict[str, tuple[Any, Any]]:
    """A fitted model for each kind of label, penalty and precision, and the rows to predict."""
    random = np.random.default_rng(5)
    X = random.normal(size=(N, 4))
    logits = X @ random.normal(size=(4, 3)) + [0.4, 0.0, -0.3]
    codes = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    words = np.array(["ant", "bee", "cat"])[codes]
    fits = {
        "l2-strings": SoftmaxRegression(1e-2).fit(X, words),
        "l2-integers": SoftmaxRegression(1e-2).fit(X, codes + 7),
        "l2-booleans": SoftmaxRegression(1e-2).fit(X, codes > 0),
        "l2-floats": SoftmaxRegression(1e-2).fit(X, codes * 2.0),
        "l2-objects": SoftmaxRegression(1e-2).fit(X, words.astype(object)),
        "soft-labels": SoftmaxRegression(1e-3).fit(X, soft),
        "elastic-net": SoftmaxRegression(1e-2, penalty="elasticnet", l1_ratio=0.5).fit(X, words),
        "l1": SoftmaxRegression(1e-2, penalty="l1").fit(X, words),
        "no-penalty": SoftmaxRegression(penalty=None).fit(X, words),
        "firth": SoftmaxRegression(penalty="firth").fit(X, codes > 0),
        "no-intercept": SoftmaxRegression(1e-2, fit_intercept=False, class_weight="balanced").fit(X, words),
        "float32": SoftmaxRegression(1e-2).fit(X.astype(np.float32), words),
        "selection": SoftmaxRegressionCV(strengths=[1e-1, 1e-2, 1e-3], cv=3, random_state=0).fit(X, words),
    }
    return {name: (model, X.astype(np.float32) if name == "float32" else X) for name, model in fits.items()}


def table() -> pa.Table:
    """Rows with a column of every kind of feature, missing values included."""
    random = np.random.default_rng(6)
    y = random.integers(0, 2, N)
    age = np.round(random.normal(40 + 8 * y, 10), 1)
    income = np.exp(random.normal(8 + 0.5 * y, 1.5))
    day = datetime.date(2024, 1, 1)
    words = [["cheap", "offer", "win", "now"], ["dear", "meeting", "report", "notes"]]
    text = [" ".join(random.choice(words[k if random.random() < 0.8 else 1 - k], 6)) for k in y]
    return pa.table({
        "age": pa.array([None if i % 11 == 0 else float(v) for i, v in enumerate(age)]),
        "income": income,
        "member": pa.array([None if i % 13 == 0 else bool(v) for i, v in enumerate(random.random(N) < 0.3 + 0.3 * y)]),
        "plan": pa.array([None if i % 17 == 0 else "abc"[v] for i, v in enumerate(random.integers(0, 3, N))]),
        "joined": pa.array([day + datetime.timedelta(days=int(v)) for v in random.integers(0, 700, N)]),
        "message": text,
        "tags": pa.array([list(random.choice(["red", "green", "blue"], 2, replace=False)) for _ in range(N)]),
        "embedding": pa.array(list(random.normal(size=(N, 3)) + y[:, None]), pa.list_(pa.float64(), 3)),
        "label": pa.array(np.array(["ham", "spam"])[y]),
    })  # fmt: skip


def table_models() -> dict[str, tuple[Any, Any]]:
    """A table model with every kind of column, and one whose strength was chosen by cross-validation."""
    rows = table()
    plain = rows.select(["age", "income", "member", "plan", "label"])
    digits = plain.append_column("code", pa.array([i % 3 for i in range(N)]))
    coded = TableClassifier("code", category=["plan"], drop=["age"], terms="linear")
    return {
        "table-all-kinds": (TableClassifier("label", strength=1e-3, text=["message"]).fit(rows), rows),
        "table-auto": (TableClassifier("label", folds=3, terms="linear", random_state=0).fit(plain), plain),
        "table-integer-labels": (coded.fit(digits), digits),
    }


def main(folder: Path) -> None:
    """Write all files to a folder."""
    warnings.simplefilter("ignore")
    for name, (model, X) in array_models().items():
        model.save(folder / f"{name}.softreg")
        np.save(folder / f"{name}.rows.npy", X)
        np.save(folder / f"{name}.npy", model.predict_proba(X))
    for name, (model, rows) in table_models().items():
        model.save(folder / f"{name}.softreg")
        pq.write_table(rows, folder / f"{name}.parquet", compression="NONE")
        np.save(folder / f"{name}.npy", model.predict_proba(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
