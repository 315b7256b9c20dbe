"""Fitted models and new rows on which the programs of every target are compared with `predict_proba`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from softreg import Calibrator, SoftmaxRegression, SoftmaxRegressionCV, TableClassifier, TableWarning, read_table
from softreg.export import Program, build_program
from softreg.tables import Terms

ODD_TEXTS = (
    "it's", 'say "so"', "back\\slash", "two\nlines", "tab\there", "naïve", "垃圾邮件", "🎬 film", "null", "a,b;c", "$1",
    "{x}", "<b>", "-- no", "/* c */", "%s", "?", "true", "00:30", "1e5", " led by a blank", "ß", "İ", "\u2028", "`",
    "${y}", "x" * 300, "??/", "*/", "\x7f",
)  # fmt: skip
"""Levels, labels and names that a printer may fail to quote."""
LARGE = (0.0, -0.0, 1e300, -1e300, 5e-324, 1e-300, 123456789.123456789, -7.25)
"""Extreme numbers."""
ROWS = 240


@dataclass(frozen=True)
class Case:
    """A fitted model and new rows.

    `columns` is the table of new rows; a model of arrays has one column of lists, named as its input. `kinds` are the
    kinds of inputs beside numbers, booleans, categories, codes and dates, which a target may refuse.
    """

    model: Any
    columns: pa.Table
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def program(self) -> Program:
        """The program of the model."""
        return build_program(self.model, **self.options)

    def expected(self) -> np.ndarray:
        """The probabilities (n, q) of the library."""
        if isinstance(self.model, TableClassifier):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TableWarning)
                P = self.model.predict_proba(self.columns)
        else:
            X = np.array(self.columns["X"].to_pylist(), dtype=float)
            names = [name for name in self.columns.column_names if name != "X"]
            offset = np.column_stack([np.asarray(self.columns[name]) for name in names]) if names else None
            P = self.model.predict_proba(X, offset)
        calibrator = self.options.get("calibrator")
        return P if calibrator is None else calibrator.predict_proba(P, class_rates=self.options.get("class_rates"))


def generator(seed: int) -> np.random.Generator:
    """A random generator."""
    return np.random.default_rng(seed)


def with_nulls(values: Any, random: np.random.Generator, share: float = 0.1) -> pa.Array:
    """Values as an Arrow array, of which a share is null."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    kept = random.random(len(array)) >= share
    return pa.array([v if k else None for v, k in zip(array.to_pylist(), kept, strict=True)], array.type)


def labels(random: np.random.Generator, *signals: Any, classes: Any = ("u", "v", "w")) -> list[Any]:
    """Labels that depend on the signals, each class of which occurs."""
    score = np.sum([np.nan_to_num(np.asarray(signal, dtype=float)) for signal in signals], axis=0)
    noisy = score / (np.std(score) + 1e-9) + random.normal(size=len(score))
    order = np.argsort(np.argsort(noisy))
    return [classes[k] for k in (order * len(classes)) // len(order)]


def fit(table: pa.Table, **options: Any) -> TableClassifier:
    """A classifier of the column y."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableClassifier(**({"strength": 0.01} | options)).fit(table, target="y")


def numbers() -> Case:
    """Numbers: linear, by normal scores, both, integers, with and without missing values, extreme in new rows."""
    random = generator(1)
    normal, heavy, whole = random.normal(3, 2, ROWS), random.standard_t(1.2, ROWS), random.integers(-5, 9, ROWS)
    table = pa.table(
        {
            "normal": normal,
            "heavy": heavy,
            "both": with_nulls(heavy * 1e6, random),
            "whole": pa.array(whole),
            "gaps": with_nulls(normal * 1e-9, random),
            "y": labels(random, normal, np.tanh(heavy)),
        }
    )
    model = fit(table, numeric_form={"both": "both", "heavy": "scores"})
    rows = {name: with_nulls(np.array([*LARGE, *random.normal(0, 4, 40)]), random) for name in table.column_names[:-1]}
    rows["whole"] = with_nulls(pa.array([0, -5, 8, 100, -100, 2**40, 1, 2, *range(40)]), random)
    return Case(model, pa.table(rows))


def words() -> Case:
    """Booleans of several words, with and without missing values."""
    random = generator(2)
    flag = random.random(ROWS) < 0.4
    table = pa.table(
        {
            "real": pa.array(flag),
            "gaps": with_nulls(pa.array(random.random(ROWS) < 0.5), random),
            "yes": np.where(flag, "yes", "no"),
            "letter": with_nulls(np.where(random.random(ROWS) < 0.7, "T", "F"), random),
            "y": labels(random, flag, classes=(True, False)),
        }
    )
    rows = {
        "real": pa.array([True, False, None, True, False, True]),
        "gaps": pa.array([None, True, False, None, None, True]),
        "yes": ["yes", "NO", " Yes ", None, "", "true"],
        "letter": ["t", "F", None, "  ", "true", "1"],
    }
    return Case(fit(table), pa.table(rows))


def categories() -> Case:
    """Categories of odd levels, rare and unseen ones, missing values with and without a feature."""
    random = generator(3)
    odd, plain = random.choice(ODD_TEXTS, ROWS), random.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1])
    many = [f"level {k}" for k in random.zipf(1.5, ROWS) % 80]
    table = pa.table(
        {
            "odd": odd.tolist(),
            "plain": plain,
            "gaps": with_nulls(plain, random),
            "many": many,
            "y": labels(random, [len(text) for text in odd], classes=ODD_TEXTS[:5]),
        }
    )
    model = fit(table, category=["odd", "many"])
    unseen = ["new", "", None, "  ", "A", "a ", "nan", "it''s", "\u00a0"]
    n = len(ODD_TEXTS) + len(unseen)
    rows = {
        "odd": [*ODD_TEXTS, *unseen],
        "plain": (["a", "b", "c", None, "z"] * n)[:n],
        "gaps": ([None, "a", "c", ""] * n)[:n],
        "many": ([f"level {k}" for k in range(80)] + ["none"])[:n],
    }
    return Case(model, pa.table(rows))


def codes() -> Case:
    """Categories of numbers, and numbers and booleans that are text."""
    random = generator(4)
    zips = random.choice([10115, 20095, 80331, -7], ROWS)
    table = pa.table(
        {
            "zip": pa.array(zips),
            "half": random.choice([0.5, 1.0, 1.5], ROWS),
            "digits": random.choice(["1", "2", "3"], ROWS),
            "leading": random.choice(["01", "02", "11"], ROWS),
            "truth": random.choice(["true", "false"], ROWS),
            "big": pa.array(random.choice([2**60 + 1, 2**60 + 3], ROWS)),
            "y": labels(random, zips, classes=(3, 1, 2)),
        }
    )
    model = fit(table, category=["zip", "half", "digits", "leading", "truth", "big"])
    rows = {
        "zip": pa.array([10115, 80331, None, 5, -7, 20095]),
        "half": pa.array([0.5, 1.0, 1.5, None, 0.25, -0.0]),
        "digits": ["1", "2.0", "3", None, "4", ""],
        "leading": ["01", "02", "11", None, "1", "2"],
        "truth": ["true", "TRUE", "False", None, "maybe", "false"],
        "big": pa.array([2**60 + 1, 2**60 + 3, None, 2**60 + 1, 2**60, 7]),
    }
    return Case(model, pa.table(rows))


def dates() -> Case:
    """Dates and times, before 1970, on leap days, missing, far outside training."""
    random = generator(5)
    seconds = random.integers(-1_000_000_000, 1_700_000_000, ROWS)
    days = seconds.astype("M8[s]").astype("M8[D]")
    table = pa.table(
        {
            "moment": pa.array(seconds.astype("M8[s]")),
            "day": pa.array(days),
            "gaps": with_nulls(pa.array((seconds * 1000 + 123).astype("M8[ms]")), random),
            "y": labels(random, seconds),
        }
    )
    moments = np.array(
        ["1970-01-01", "1969-12-31T23:59:59", "2000-02-29T12:00", "1900-02-28", "1900-03-01", "2024-12-31T23:59:59",
         "1582-10-15", "2400-02-29T06:30:15", "NaT", "2023-01-02"], "M8[s]"
    )  # fmt: skip
    rows = {
        "moment": pa.array(moments),
        "day": pa.array(moments.astype("M8[D]")),
        "gaps": pa.array(moments[::-1].astype("M8[ms]")),
    }
    return Case(fit(table), pa.table(rows))


def vectors() -> Case:
    """Embeddings, some of them missing."""
    random = generator(6)
    Z = random.normal(size=(ROWS, 4))
    column = with_nulls(pa.array(Z.tolist()), random)
    table = pa.table({"v": column, "n": Z[:, 0] * 2, "y": labels(random, Z[:, 0], Z[:, 1])})
    return Case(
        fit(table),
        pa.table({"v": with_nulls(pa.array(random.normal(size=(9, 4)).tolist()), random, 0.3), "n": np.arange(9.0)}),
    )


def images() -> Case:
    """Images in colour from a file of arrays, and new ones with the smallest and largest pixels."""
    random = generator(12)
    codes = np.arange(ROWS) % 3
    pixels = random.integers(0, 150, (ROWS, 3, 4, 3)) + 50 * codes[:, None, None, None]
    pixels[-2:] = np.array([0, 255])[:, None, None, None]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images.npz"
        np.savez(path, images=pixels.astype(np.uint8), y=codes, labels=np.array(["u", "v", "w"])[codes])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = read_table(path)
    return Case(fit(table.rename_columns({"label": "y"})), table.slice(ROWS - 12).drop_columns(["label"]))


def tags() -> Case:
    """Lists of tags, empty, missing, repeated, rare and unseen."""
    random = generator(7)
    known = [*ODD_TEXTS[:9], "a", "b"]
    lists = [list(random.choice(known, random.integers(0, 4))) for _ in range(ROWS)]
    lists[0] = ["once"]
    table = pa.table(
        {"t": pa.array([[str(t) for t in row] for row in lists]), "y": labels(random, [len(r) for r in lists])}
    )
    rows = [["a"], [], None, ["a", "a", "b"], ["new"], ["new", "a", "new"], list(ODD_TEXTS[:9]), ["once"], [None, "b"]]
    return Case(fit(table), pa.table({"t": pa.array(rows, pa.list_(pa.string()))}))


def texts() -> Case:
    """Free text in several scripts."""
    random = generator(8)
    vocabulary = [
        "free",
        "money",
        "Don't",
        "meeting",
        "垃圾邮件",
        "🎬",
        "naïve",
        "2nd",
        "snake_case",
        "ΣΊΣΥΦΟΣ",
        "é",
        "win!!",
    ]
    bodies = [" ".join(random.choice(vocabulary, random.integers(1, 14))) for _ in range(ROWS)]
    table = pa.table({"body": bodies, "y": labels(random, [body.count("money") for body in bodies])})
    rows = ["", None, "free  money", "FREE\tMONEY\nwin", "unknown words only", "垃圾邮件垃圾邮件 🎬🎬",
            "naïve nai\u0308ve", "Don't don’t", "ΣΊΣΥΦΟΣ σίσυφος", "İstanbul ẞ",
            "a\0b free", "free " * 50, " \u00a0free\u00a0"]  # fmt: skip
    return Case(fit(table, text=["body"]), pa.table({"body": pa.array(rows, pa.string())}))


def offsets() -> Case:
    """Columns of offsets, one of which serves two classes."""
    random = generator(9)
    x = random.normal(size=ROWS)
    table = pa.table({"x": x, "known": x * 0.3, "other": random.normal(size=ROWS), "y": labels(random, x)})
    model = fit(table, offset={"v": "known", "w": "other", "u": "other"})
    return Case(model, pa.table({"x": [0.5, None, 9.0], "known": [0.1, -2.0, 30.0], "other": [1.0, 0.0, -700.0]}))


def names() -> Case:
    """Odd names of columns."""
    random = generator(10)
    number, word = random.normal(size=ROWS), random.choice(["a", "b"], ROWS)
    named = {"select": number, 'quo"ted': word, "per cent %": number * 2, "it's": word, "名": word}
    named |= {
        "SELECT ": random.random(ROWS) < 0.5,
        "a.b": number**2,
        "x" * 80: number,
        "back\\slash": number,
        "new\nline": number,
    }
    table = pa.table(named | {"y": labels(random, number, classes=("yes", "no"))})
    rows = {name: values[:12] for name, values in named.items()}
    rows['quo"ted'] = pa.array(["a", "b", "c", None, "", "A", *["a"] * 6])
    return Case(fit(table), pa.table(rows))


def spellings() -> Case:
    """Spellings of a missing value that the user named, in a file."""
    random = generator(16)
    number = random.integers(-3, 9, ROWS)
    lines = {
        "number": np.where(random.random(ROWS) < 0.1, -9, number),
        "word": np.where(random.random(ROWS) < 0.1, "none given", random.choice(["a", "b"], ROWS)),
        "flag": np.where(random.random(ROWS) < 0.1, "none given", random.choice(["yes", "no"], ROWS)),
        "price": [f"${value:,}.50" for value in (number + 4) * 1000],
        "y": labels(random, number),
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        pacsv.write_csv(pa.table(lines), path)
        table = read_table(path, na=["-9", "none given"])
        model = fit(table)
    rows = {"number": pa.array([-9.0, 3.0, None, -9.5]), "word": ["none given", " none given ", "a", None]}
    return Case(model, pa.table(rows | {"flag": ["none given", "yes", "", "no"], "price": [1000.5, None, 3.0, 7.0]}))


TERM_ROWS = 600
"""Rows of the tables whose models have curves and interactions."""


def terms(classes: Any, **options: Any) -> Case:
    """Curves and interactions of every pair of kinds, with missing values in some columns, beyond the range."""
    random = generator(41)
    age, wage = random.normal(40, 12, TERM_ROWS), np.exp(random.normal(7, 1, TERM_ROWS))
    job, town = random.choice(["cook", "maid", "smith"], TERM_ROWS), random.choice(["x", "y"], TERM_ROWS)
    member, zips = random.random(TERM_ROWS) < 0.4, random.choice([10115, 20095, 80331], TERM_ROWS)
    z, w = (age - 40) / 12, np.log(wage) - 7
    signal = np.sin(age / 8) + z * w + (job == "cook") * z + (town == "x") * (w + (job == "maid") - (zips == 10115))
    signal = 3 * (signal + member * (z + (job == "smith")) + (zips == 20095) * z)
    table = pa.table(
        {
            "age": age,
            "wage": with_nulls(wage, random),
            "job": with_nulls(job, random),
            "town": town,
            "member": with_nulls(pa.array(member), random),
            "zip": pa.array(zips),
            "y": labels(random, signal, 0.3 * np.log(wage), classes=classes),
        }
    )
    pairs = ["age:wage", "age:job", "wage:town", "job:town", "member:age", "member:job", "zip:age", "zip:town"]
    wanted = Terms("linear", smooth=["age", "wage"], interactions=pairs)
    model = fit(table, strength="auto", terms=wanted, category=["zip"], **options)
    some = table.drop_columns(["y"]).slice(0, 60)
    odd = {
        "age": [None, 1e300, -1e300, 40.0, 0.0, -0.0, 5e-324, 39.5],
        "wage": [None, None, -5.0, 1e12, 0.0, 1e-300, 1000.0, 7.5],
        "job": ["cook", None, "baker", "", " ", "maid", "Cook", "smith"],
        "town": ["x", "y", None, "z", "", "x", "X", "y"],
        "member": [None, True, False, None, True, True, False, None],
        "zip": [10115, 5, None, 20095, 80331, -1, 10115, None],
    }
    return Case(model, pa.concat_tables([some, pa.table(odd, some.schema)]))


def terms_of_two_classes() -> Case:
    """Curves and interactions of two classes, whose features are folded to one."""
    return terms(("no", "yes"))


def terms_of_three_classes() -> Case:
    """Curves and interactions of three classes."""
    return terms(("u", "v", "w"))


def terms_with_forms() -> Case:
    """An interaction beside columns by normal scores and in both forms, with words in place of missing."""
    random = generator(42)
    heavy, near = random.standard_t(1.2, TERM_ROWS), random.normal(1e9, 1.0, TERM_ROWS)
    flag = np.where(random.random(TERM_ROWS) < 0.5, "T", "F")
    columns = {"heavy": heavy, "both": with_nulls(heavy * 3, random), "near": near, "flag": flag}
    table = pa.table(columns | {"y": labels(random, np.tanh(heavy) * (flag == "T"), near - 1e9)})
    pairs = ["near:flag"]  # columns with a requested form have no interactions
    wanted = Terms("linear", interactions=pairs, monotone={})
    model = fit(table, strength="auto", terms=wanted, numeric_form={"heavy": "scores", "both": "both"})
    rows = table.drop_columns(["y"]).slice(0, 40)
    odd = {"heavy": [None, 1e300, -3.0, 0.0], "both": [0.0, None, 1e9, -1e9], "near": [1e9 + 0.1, 0.0, None, 1e9],
           "flag": ["T", "f", None, " "]}  # fmt: skip
    return Case(model, pa.concat_tables([rows, pa.table(odd, rows.schema)]))


def sparse_terms() -> Case:
    """Curves and an interaction in a table of more than 200 sparse features."""
    random = generator(43)
    age, place = random.normal(size=2 * TERM_ROWS), random.choice([f"p{k}" for k in range(230)], 2 * TERM_ROWS)
    job = random.choice(["a", "b"], 2 * TERM_ROWS)
    table = pa.table({"age": age, "place": place, "job": job, "y": labels(random, age**2, (job == "a") * age)})
    model = fit(table, strength="auto", terms=Terms("linear", smooth=["age"], interactions=["age:job"]))
    assert model.encoder_.sparse
    rows = {"age": [0.1, None, 9.0, -9.0], "place": ["p1", "p200", "new", None], "job": ["a", "b", None, "c"]}
    return Case(model, pa.concat_tables([table.drop_columns(["y"]).slice(0, 30), pa.table(rows)]))


def many_classes() -> Case:
    """Thirty classes."""
    random = generator(11)
    x, z = random.normal(size=(2, 20 * ROWS))
    table = pa.table({"x": x, "z": z, "y": labels(random, 3 * x, z, classes=[f"class {k}" for k in range(30)])})
    return Case(fit(table, strength=1e-6), pa.table({"x": [*LARGE, 0.3], "z": [*LARGE[::-1], None]}))


def arrays() -> Case:
    """A model of arrays, with labels that are integers."""
    random = generator(12)
    X = random.normal(size=(ROWS, 5)) * [1, 10, 0.1, 1e5, 1]
    model = SoftmaxRegression(0.01).fit(X, labels(random, X[:, 0], X[:, 4], classes=(2, 5, 7)))
    return Case(model, pa.table({"X": pa.array((random.normal(size=(20, 5)) * [1, 10, 0.1, 1e5, 1]).tolist())}))


def named_arrays() -> Case:
    """A search over frames with names and float labels; two classes."""
    import pandas as pd

    random = generator(13)
    X = random.normal(size=(ROWS, 3))
    frame = pd.DataFrame(X, columns=["a b", 'c"d', "select"])
    model = SoftmaxRegressionCV(strengths=[0.1, 0.01]).fit(frame, labels(random, X[:, 1], classes=(1.0, 2.0)))
    return Case(model, pa.table({"X": pa.array(random.normal(size=(9, 3)).tolist())}))


def array_offsets() -> Case:
    """A model of arrays with offsets."""
    random = generator(14)
    X, offset = random.normal(size=(ROWS, 2)), random.normal(size=(ROWS, 3))
    y = np.array(labels(random, X[:, 0]))
    model = SoftmaxRegression(0.1).fit(X, y, offset=offset)
    new = random.normal(size=(7, 3))
    columns = {f"offset {label}": new[:, k] for k, label in enumerate(model.classes_)}
    return Case(model, pa.table({"X": pa.array(random.normal(size=(7, 2)).tolist())} | columns))


def calibrated(method: str, classes: Sequence[str] = ("u", "v", "w"), **options: Any) -> Case:
    """A model of arrays and a calibrator."""
    random = generator(15)
    n = 4000
    X = random.normal(size=(n, 3))
    y = np.array(labels(random, X[:, 0], X[:, 1], classes=classes))
    model = SoftmaxRegression(1e-4).fit(X[:ROWS], y[:ROWS])
    P = np.round(model.predict_proba(X[ROWS:]), 2)
    P /= P.sum(axis=1, keepdims=True)
    calibrator = Calibrator(method).fit(P, y[ROWS:])
    rows = np.concatenate([random.normal(size=(30, 3)), 1e3 * np.eye(3), -1e3 * np.eye(3)])
    return Case(model, pa.table({"X": pa.array(rows.tolist())}), {"calibrator": calibrator, **options})


def mixed(seed: int) -> Case:
    """A table of columns of random kinds and number, with missing values."""
    random = generator(100 + seed)
    columns: dict[str, Any] = {}
    signals = []
    n = int(random.integers(120, 400))
    for k in range(int(random.integers(2, 9))):
        kind = random.choice(["number", "heavy", "word", "flag", "date", "code"])
        name = f"{random.choice(ODD_TEXTS[:20])} {k}"
        base = random.normal(size=n)
        signals.append(base)
        values: Any = {
            "number": base * 10.0 ** random.integers(-6, 7) + random.normal() * 100,
            "heavy": np.sinh(3 * base),
            "word": np.array(ODD_TEXTS)[np.digitize(base, [-1, 0, 1]) * int(random.integers(1, 7))].tolist(),
            "flag": pa.array(base > 0),
            "date": pa.array((base * 4e8).astype(np.int64).astype("M8[s]")),
            "code": pa.array(np.digitize(base, [-1, 0, 1]) * 7),
        }[kind]
        columns[name] = with_nulls(values, random, random.choice([0.0, 0.2]))
    q = int(random.integers(2, 7))
    table = pa.table(columns | {"y": labels(random, *signals, classes=list(ODD_TEXTS[:q]))})
    rows = table.drop_columns(["y"]).slice(0, 60)
    nulls = pa.table({name: pa.nulls(1, rows[name].type) for name in rows.column_names})
    return Case(fit(table, strength=float(10.0 ** random.uniform(-4, 1))), pa.concat_tables([rows, nulls]))


def mixed_terms(seed: int) -> Case:
    """A table of columns of random kinds, with curves, and interactions of random pairs that matter."""
    random = generator(500 + seed)
    columns: dict[str, Any] = {}
    signals = []
    n = int(random.integers(300, 700))
    for k in range(int(random.integers(3, 7))):
        kind = random.choice(["number", "heavy", "word", "flag", "code", "many", "letter"])
        base = random.normal(size=n)
        signals.append(base)
        values: Any = {
            "number": base * 10.0 ** random.integers(-6, 7) + random.normal() * 100,
            "heavy": np.sinh(3 * base),
            "word": np.array(ODD_TEXTS)[np.digitize(base, [-1, 0, 1]) * int(random.integers(1, 7))].tolist(),
            "many": [f"level {level}" for level in random.zipf(1.5, n) % 60],
            "flag": pa.array(base > 0),
            "letter": np.where(base > 0, "T", "F"),
            "code": pa.array(np.digitize(base, [-1, 0, 1]) * 7),
        }[kind]
        columns[f"{random.choice(ODD_TEXTS[:20])} {k}"] = with_nulls(values, random, random.choice([0.0, 0.2]))
    every = list(combinations(range(len(columns)), 2))
    names = list(columns)
    pairs = [(names[i], names[j]) for i, j in every if random.random() < 0.5][:6]
    smooth = [name for name in names if pa.types.is_floating(columns[name].type)]
    products = sum(signals[i] * signals[j] for i, j in every)
    q = int(random.integers(2, 5))
    table = pa.table(columns | {"y": labels(random, 2 * products, classes=list(ODD_TEXTS[:q]))})
    model = fit(table, strength="auto", terms=Terms("linear", smooth=smooth, interactions=pairs))
    rows = table.drop_columns(["y"]).slice(0, 50)
    nulls = pa.table({name: pa.nulls(1, rows[name].type) for name in rows.column_names})
    return Case(model, pa.concat_tables([rows, nulls]))


CASES: dict[str, Callable[[], Case]] = {
    one.__name__: one
    for one in (
        numbers,
        words,
        categories,
        codes,
        dates,
        vectors,
        images,
        tags,
        texts,
        offsets,
        names,
        spellings,
        terms_of_two_classes,
        terms_of_three_classes,
        terms_with_forms,
        sparse_terms,
        many_classes,
        arrays,
        named_arrays,
        array_offsets,
    )
}
CASES |= {f"mixed {seed}": (lambda seed=seed: mixed(seed)) for seed in range(12)}
CASES |= {f"mixed terms {seed}": (lambda seed=seed: mixed_terms(seed)) for seed in (1, 6, 8, 9)}
CASES |= {
    f"{method} calibration": (lambda method=method: calibrated(method))
    for method in ("none", "temperature", "vector", "matrix", "structured", "curved", "isotonic")
}
CASES |= {
    f"{method} calibration of two classes": (lambda method=method: calibrated(method, ("no", "yes")))
    for method in ("curved", "beta", "quadratic", "isotonic")
}
CASES["class rates"] = lambda: calibrated("vector", class_rates=[0.2, 0.5, 0.3])
"""Cases by name."""


@cache
def case(name: str) -> Case:
    """The case of this name, fitted once a process."""
    return CASES[name]()
