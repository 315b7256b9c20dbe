"""docs/benchmarks-terms.md: one row a table, the targets beside what was reached, size and calibration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import terms_tables
from page import processor

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks-terms.md"
LINEAR, TERMS, EBM, TREES, PAIRS = "softreg linear", "softreg terms", "ebm", "lightgbm", "ebm pairs"
HELD_OUT = 0.2
AIMS = {"share": 14 / 20, "near": 1.02, "time": 0.2, "trees": 1.05, "bank": 0.203}
"""Share of tables at least as good as EBM, ratio on the rest, ratio of times, of losses to LightGBM, loss on bank."""
BANK = "data/bank-full"
NOISE = 2.0
"""Standard errors from which on a difference counts."""
ENOUGH = 1_000
"""Rows from which on a calibration error of a table is more than noise."""
Record = dict[str, Any]
Key = tuple[str, int, str]

HEAD = """# Terms beside boosting

Held-out log loss on real tables: softreg's linear model (`terms="linear"`) and its terms (`terms="auto"`, the default),
scikit-learn's pipeline, LightGBM with early stopping, also with a temperature, and EBM. Tables on which softreg is
worse are included.

```
make bench PROBLEM=terms                                   # measures what is missing, and writes this page
python benchmarks/terms.py --only bank --contestants ebm   # one table, one contestant
python benchmarks/terms.py --again "softreg terms"         # after a change
python benchmarks/terms.py --further                       # the tables on which nothing was chosen
```

- **Tables** are those of `benchmarks/terms_tables.py`, with targets and columns left out (identifiers, columns known
  only with the label), chosen before anything was fitted. The rules of terms (limits, priors, how much better a larger
  model has to be) were chosen on some of them; the last section has tables that took no part in it.
- **Splits:** a stratified fifth is held out, 10 times below 1,000 rows, 5 times below 5,000, 3 times below 20,000 and
  twice above (once where rows times classes exceed 250,000). All contestants get the same rows. A contestant that has
  used more than 600 seconds of CPU on a table starts no other split of it; comparisons are those of common splits.
  This limit, and EBM without pairs for several classes, were set after the first fits of EBM had been seen.
- **Contestants** are those of `benchmarks/terms_contestants.py`. LightGBM: learning rate 0.05, categories as such, a
  stratified fifth of the training rows chooses the number of rounds, then a fit of all rows; its temperature is
  that of the fifth. EBM: defaults, pairs included, for two classes; without pairs for several, where a fit with pairs
  takes minutes on 200 rows. Nobody is tuned further. A temperature for EBM, from a second EBM of four fifths, is
  measured with `--contestants "ebm calibrated"`.
- **Seconds** are those of the CPU, of all threads, for fitting, storing and predicting the held-out rows.
"""


def read(path: Path) -> dict[Key, Record]:
    """The last line of each table, split and contestant."""
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {(line["table"], line["split"], line["contestant"]): line for line in lines}


class Measured:
    """Means over the splits of each table and contestant; a contestant with an error on a split has none there."""

    def __init__(self, lines: dict[Key, Record], names: list[str], tables: Iterable[str] = terms_tables.TABLES) -> None:
        self.lines = lines
        self.tables = [t for t in tables if any(key[0] == t for key in lines)]
        self.names = [name for name in names if name != PAIRS and any(key[2] == name for key in lines)]

    def splits(self, table: str) -> list[int]:
        return sorted({key[1] for key in self.lines if key[0] == table})

    def records(self, table: str, name: str) -> dict[int, Record]:
        """The lines of the splits where the contestant has a loss."""
        found = {split: self.lines.get((table, split, name), {}) for split in self.splits(table)}
        return {split: record for split, record in found.items() if "loss" in record}

    def common(self, table: str, names: list[str]) -> set[int]:
        """Splits that all of the contestants have that have any."""
        each = [set(records) for name in names if (records := self.records(table, name))]
        return set.intersection(*each) if each else set()

    def mean(self, table: str, name: str, field: str = "loss", splits: set[int] | None = None) -> float:
        """Mean over these splits, or over all that the contestant has."""
        chosen = [r for split, r in self.records(table, name).items() if splits is None or split in splits]
        values = [record[field] for record in chosen if field in record]
        return float(np.mean(values)) if values else float("nan")

    def size(self, table: str) -> Record:
        return next(record for key, record in self.lines.items() if key[0] == table)

    def noise(self, table: str, name: str) -> float:
        """Standard error of the mean difference to the linear model.

        k splits together hold out a share 1 - (1 - f)^k of the rows, each of them the share f.
        """
        records = [record for record in self.records(table, name).values() if "se" in record]
        covered = 1 - (1 - HELD_OUT) ** len(records)
        return float(np.sqrt(np.mean([r["se"] ** 2 for r in records]) * HELD_OUT / covered)) if records else np.nan

    def pairs(self, first: str, second: str, field: str = "loss", fewest: int = 0) -> np.ndarray:
        """Means of both contestants over common splits, of the tables of at least `fewest` rows that both have."""
        tables = [t for t in self.tables if self.size(t)["n"] >= fewest]
        rows = [
            [self.mean(t, name, field, self.common(t, [first, second])) for name in (first, second)] for t in tables
        ]
        return np.array([row for row in rows if np.isfinite(row).all()]).reshape(-1, 2)


def page(lines: dict[Key, Record], names: list[str], further: dict[Key, Record] | None = None) -> str:
    """The whole page; `further` are the lines of the tables on which no rule was chosen."""
    measured = Measured(lines, names)
    if not measured.tables:
        return HEAD + "\nNothing was measured yet.\n"
    parts = [
        HEAD,
        "## Log loss\n",
        *losses(measured),
        "",
        *with_pairs(measured),
        "## Targets\n",
        *targets(measured),
        "",
        *of_further_tables(Measured(further or {}, names, terms_tables.FURTHER)),
    ]
    parts += ["## Seconds of CPU\n", *grid(measured, "seconds", lambda x: f"{x:.3g}"), ""]
    parts += ["## Kilobytes of the stored model\n", *grid(measured, "bytes", lambda x: f"{x / 1e3:,.0f}"), ""]
    parts += [
        "## Calibration\n",
        "Debiased squared calibration error, summed over the classes, times 10,000; mean of the splits. For right "
        "probabilities it is 0 on average, so that it may be negative, and noise on small tables.\n",
        *grid(measured, "gap", lambda x: f"{1e4 * x:.1f}"),
        "",
        "Top-label calibration error of 15 equally wide bins, in percent; biased upwards, most on small tables.\n",
        *grid(measured, "ece_top", lambda x: f"{100 * x:.1f}"),
        "",
        *settings(measured),
    ]
    return "\n".join(parts) + "\n"


def with_pairs(measured: Measured) -> list[str]:
    """EBM with pairs of several classes beside the others, on the first split."""
    names = [name for name in (LINEAR, TERMS, TREES, EBM) if name in measured.names] + [PAIRS]
    tables = [t for t in measured.tables if (t, 0, PAIRS) in measured.lines]
    if not tables:
        return []
    told = [
        "EBM with its pairs for several classes, on the first split: loss, and seconds of CPU of both EBMs.\n",
        f"| table | {' | '.join(names)} | seconds of ebm | seconds of {PAIRS} |",
        f"| --- | {'---: | ' * (len(names) + 2)}".rstrip(),
    ]
    for table in tables:
        records = [measured.lines.get((table, 0, name), {}) for name in names]
        cells = [f"{r['loss']:.4f}" if "loss" in r else "" for r in records]
        cells += [f"{r['seconds']:.3g}" if "loss" in r else "" for r in records[-2:]]
        told.append(f"| {table} | {' | '.join(cells)} |")
    return [*told, ""]


def losses(measured: Measured) -> list[str]:
    """One row a table, of the splits that all have; the least loss is bold, and its holder stands last."""
    told = [
        f"| table | rows | columns | classes | splits | {' | '.join(measured.names)} | best |",
        f"| --- | ---: | ---: | ---: | ---: | {'---: | ' * len(measured.names)}--- |",
    ]
    for table in measured.tables:
        common = measured.common(table, measured.names)
        values = {name: measured.mean(table, name, splits=common) for name in measured.names}
        finite = {name: value for name, value in values.items() if np.isfinite(value)}
        best = min(finite, key=lambda name: finite[name], default="")
        cells = [loss_cell(value, name == best) for name, value in values.items()]
        size, every = measured.size(table), len(measured.splits(table))
        splits = f"{every}" if len(common) == every else f"{len(common)} of {every}"
        told.append(
            f"| {table} | {size['n']:,} | {size['d']} | {size['q']} | {splits} | {' | '.join(cells)} | {best} |"
        )
    return told


def loss_cell(value: float, is_best: bool) -> str:
    return "" if not np.isfinite(value) else f"**{value:.4f}**" if is_best else f"{value:.4f}"


def of_further_tables(measured: Measured) -> list[str]:
    """The section on the tables that took no part in any choice of the rules."""
    if not measured.tables:
        return []
    told = [
        "## Tables on which nothing was chosen\n",
        f"The rules of terms were chosen on tables of the collection above. KEEL's {len(terms_tables.FURTHER)} other "
        "tables took no part in it (`python benchmarks/terms.py --further`): all but "
        "movement_libras were first measured when the default "
        'became `terms="auto"`, which was worse than the linear model beyond noise on none of them, and the rule of '
        "one standard error was added afterwards. The difference is that of the mean held-out loss with terms from "
        "that of the linear model, with its standard error; 0 where the linear model was "
        f"chosen. Worse than linear by more than {NOISE:g} standard errors: "
        f"{worse_than_linear(measured, TERMS).removeprefix('worse on ')}.\n",
        f"| table | rows | columns | classes | splits | {' | '.join(measured.names)} | difference | seconds linear | "
        "seconds terms |",
        f"| --- | ---: | ---: | ---: | ---: | {'---: | ' * (len(measured.names) + 3)}".rstrip(),
    ]
    for table in measured.tables:
        size, cells = measured.size(table), [loss_cell(measured.mean(table, name), False) for name in measured.names]
        difference = f"{measured.mean(table, TERMS, 'difference'):+.4f} ± {measured.noise(table, TERMS):.4f}"
        seconds = [f"{measured.mean(table, name, 'seconds'):.3g}" for name in (LINEAR, TERMS)]
        told.append(
            f"| {table} | {size['n']:,} | {size['d']} | {size['q']} | {len(measured.splits(table))} | "
            f"{' | '.join([*cells, difference, *seconds])} |"
        )
    return [*told, ""]


def grid(measured: Measured, field: str, shown: Callable[[float], str]) -> list[str]:
    """Means of one field, a row a table."""
    told = [f"| table | {' | '.join(measured.names)} |", f"| --- | {'---: | ' * len(measured.names)}".rstrip()]
    for table in measured.tables:
        values = [measured.mean(table, name, field) for name in measured.names]
        told.append(f"| {table} | {' | '.join(shown(x) if np.isfinite(x) else '' for x in values)} |")
    return told


def targets(measured: Measured) -> list[str]:
    """Targets beside what was reached; without terms those of the linear model, for comparison."""
    contestants = [name for name in (LINEAR, TERMS) if name in measured.names]
    if not contestants:
        return ["softreg is not measured yet."]
    if TERMS not in contestants:
        told = ["Terms are not measured yet; the figures are those of the linear model.", ""]
    else:
        told = []
    told += [f"| target | {' | '.join(contestants)} |", f"| --- | {'--- | ' * len(contestants)}".rstrip()]
    columns = [reached(measured, name) for name in contestants]
    return told + [f"| {aim} | {' | '.join(column[aim] for column in columns)} |" for aim in columns[0]]


def reached(measured: Measured, name: str) -> dict[str, str]:
    """What one contestant reached of each target."""
    ebm, trees = measured.pairs(name, EBM), measured.pairs(name, TREES)
    good = ebm[:, 0] <= ebm[:, 1]
    near = ebm[~good, 0] <= AIMS["near"] * ebm[~good, 1]
    times = measured.pairs(name, EBM, "seconds")
    return {
        "at least as good as EBM on 14 of 20 (70%)": f"{good.sum()} of {len(good)}" + verdict(good, AIMS["share"]),
        "within 2% of EBM on the rest": f"{near.sum()} of {len(near)}" + verdict(near, 1.0),
        "a fifth of EBM's time": ratio(times, AIMS["time"]),
        "within 5% of LightGBM on the median table": ratio(trees, AIMS["trees"]),
        "bank at most 0.203": mark(measured.mean(BANK, name), AIMS["bank"], "{:.4f}"),
        "never worse than linear beyond noise": worse_than_linear(measured, name),
        "calibration better than EBM (1,000 rows and more)": calibration(measured, name, EBM),
        "calibration better than LightGBM (1,000 rows and more)": calibration(measured, name, TREES),
    }


def verdict(holds: np.ndarray, share: float) -> str:
    return "" if not len(holds) else ": reached" if holds.mean() >= share - 1e-9 else ": missed"


def mark(value: float, most: float, form: str) -> str:
    if not np.isfinite(value):
        return "not measured"
    return form.format(value) + (": reached" if value <= most else ": missed")


def ratio(pairs: np.ndarray, most: float) -> str:
    """Median of the ratios."""
    median = float(np.median(pairs[:, 0] / pairs[:, 1])) if len(pairs) else float("nan")
    return mark(median, most, "median ratio {:.3g}")


def worse_than_linear(measured: Measured, name: str) -> str:
    if name == LINEAR:
        return ""
    tables = [t for t in measured.tables if np.isfinite(measured.noise(t, name))]
    worse = [t for t in tables if measured.mean(t, name, "difference") > NOISE * measured.noise(t, name)]
    told = [f"{t} ({measured.mean(t, name, 'difference'):+.4f} ± {measured.noise(t, name):.4f})" for t in worse]
    return f"worse on {len(worse)} of {len(tables)}" + (": missed, " + ", ".join(told) if worse else ": reached")


def calibration(measured: Measured, name: str, peer: str) -> str:
    """On how many tables of 1,000 rows and more the debiased error is smaller, and the means over them."""
    pairs = 1e4 * measured.pairs(name, peer, "gap", ENOUGH)
    if not len(pairs):
        return "not measured"
    smaller, means = (pairs[:, 0] < pairs[:, 1]).sum(), pairs.mean(axis=0)
    better = smaller > len(pairs) / 2 and means[0] < means[1]
    return f"smaller on {smaller} of {len(pairs)}, mean {means[0]:.1f} against {means[1]:.1f}: " + (
        "reached" if better else "missed"
    )


def settings(measured: Measured) -> list[str]:
    """What was measured with which versions, and what failed."""
    used = {key[2]: record["settings"] for key, record in measured.lines.items()}  # of the last line
    told = [f"Measured on {processor()}:", "", *(f"- {name}: {text}" for name, text in used.items())]
    noted = sorted({(record["note"], key[2], key[0]) for key, record in measured.lines.items() if "note" in record})
    for note, name in sorted({one[:2] for one in noted}):
        told.append(f"- {note}: {name} on {', '.join(one[2] for one in noted if one[:2] == (note, name))}")
    failed = {(key[0], key[2]): record["error"] for key, record in measured.lines.items() if "error" in record}
    return told + [f"- {table}, {name} failed: {error}" for (table, name), error in failed.items()]
