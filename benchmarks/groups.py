"""Audits of groups by simulation: false discoveries, power, false alarms, coverage, and what the repair gains.

    python benchmarks/groups.py [--samples 400] [--only fdr search repair coverage power]

Data are drawn from known probabilities: logits are normal, and rows have columns of groups. Where a bias is planted,
the labels of some groups are drawn from probabilities with another offset, and the audited probabilities stay as they
are. A reported group is false if the probabilities of all of its rows are right. Every figure has its Monte Carlo
standard error; the seeds are fixed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np

from softreg.models import GroupCalibrator
from softreg.probability import check_calibration, softmax
from softreg.probability.bootstrap_intervals import label_drawer
from softreg.probability.class_offsets import offset_gap
from softreg.probability.group_calibration import check_group
from softreg.probability.multiple_testing import false_discovery_rates
from softreg.report import search_groups

LEVEL = 0.05


def labels(random: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    return np.minimum((truth.cumsum(axis=1) < random.random((len(truth), 1))).sum(axis=1), truth.shape[1] - 1)


def shifted(P: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Probabilities with the log-odds of the last class higher by `offset` (n,)."""
    return softmax(np.log(P) + np.eye(P.shape[1])[-1] * offset[:, None])


def share(values: list[float]) -> str:
    """Mean of shares, in per cent, with its Monte Carlo standard error."""
    v = np.array(values, dtype=float)
    return f"{v.mean():.1%} ± {v.std(ddof=1) / np.sqrt(len(v)):.1%}"


def group_p_values(P: np.ndarray, y: np.ndarray, columns: list[np.ndarray]) -> np.ndarray:
    """p-values of the groups of all columns, by as many draws as `audit` makes."""
    return np.array([check_group(P[c == g], y[c == g]).p_value for c in columns for g in np.unique(c)])


DESIGNS = (
    ("one column", 4000, 2, 20, 4, 0.8),
    ("one column", 4000, 2, 20, 0, 0.0),
    ("one column", 4000, 3, 20, 4, 0.8),
    ("one column", 6000, 2, 50, 5, 0.8),
    ("two columns", 2000, 2, 10, 2, 0.8),
    ("two columns", 2000, 2, 10, 0, 0.0),
)
"""Design, rows, classes, groups of a column, groups with a bias, and their bias of the log-odds."""


def false_discoveries(samples: int) -> Iterator[str]:
    """False discovery proportion and power of the groups of named columns."""
    yield "| design | groups | planted | rows | bias | false discovery proportion | planted found | any without bias |"
    yield "| --- " * 8 + "|"
    for design, n, q, G, planted, bias in DESIGNS:
        random, fdp, power, alarm = np.random.default_rng(G + planted + q), [], [], []
        for _ in range(samples):
            P = softmax(1.5 * random.normal(size=(n, q)))
            first = random.integers(G, size=n)
            # the second column repeats half of the unbiased rows of the first, so that its groups overlap it
            second = np.where(first < planted, 0, random.integers(1, G, size=n)) if design == "two columns" else None
            columns = [first] if second is None else [first, second]
            y = labels(random, shifted(P, np.where(first < planted, bias, 0.0)))
            p = group_p_values(P, y, columns)
            found = false_discovery_rates(p, dependent=len(columns) > 1) <= LEVEL
            wrong = np.array([bool((first[c == g] < planted).any()) for c in columns for g in np.unique(c)])
            fdp.append((found & ~wrong).sum() / max(found.sum(), 1))
            power.append(found[wrong].mean() if wrong.any() else 0.0)
            alarm.append(bool(found.any()))
        of = f"{len(columns)} x {G}" if len(columns) > 1 else f"{G}"
        cells = (share(fdp), share(power), "") if planted else (share(fdp), "", share(alarm))
        yield f"| {design} | {of} | {planted} | {n:,} | {bias} | " + " | ".join(cells) + " |"


def searches(samples: int) -> Iterator[str]:
    """False alarms and power of the search for groups nobody named."""
    yield "| rows | columns | planted | bias | false group reported | planted group first | any group reported |"
    yield "| --- " * 7 + "|"
    for n, d, bias in ((2000, 8, 0.0), (2000, 8, 0.8), (2000, 8, 1.2), (8000, 8, 0.8)):
        random, false, first, any_found = np.random.default_rng(n + d), [], [], []
        for _ in range(samples):
            P = softmax(1.5 * random.normal(size=(n, 2)))
            numbers = random.normal(size=(n, d // 2))
            levels = random.integers(4, size=(n, d - d // 2))
            columns = {f"number {j}": numbers[:, j] for j in range(d // 2)}
            columns |= {f"level {j}": levels[:, j] for j in range(d - d // 2)}
            wrong = (levels[:, 0] == 0) & (numbers[:, 0] < np.quantile(numbers[:, 0], 0.4))  # a tenth of the rows
            y = labels(random, shifted(P, np.where(wrong, bias, 0.0)))
            search = search_groups(P, y, columns, range(2), draws=199)
            members = [inside(group.conditions, columns) for group in search.found]
            false.append(any(not (rows & wrong).any() for rows in members) if bias else bool(members))
            any_found.append(bool(members))
            first.append(bool(members) and (members[0] & wrong).sum() >= 0.9 * members[0].sum())
        cells = (share(false), share(first) if bias else "", share(any_found))
        yield f"| {n:,} | {d} | {'a tenth of the rows' if bias else 'none'} | {bias} | " + " | ".join(cells) + " |"


def inside(conditions: tuple[tuple[str, str], ...], columns: dict[str, np.ndarray]) -> np.ndarray:
    """Rows that meet the conditions of a found group."""
    from softreg.models.calibration.group_columns import arrow_column
    from softreg.models.calibration.group_rules import fit_group_rule

    rows = np.ones(len(next(iter(columns.values()))), dtype=bool)
    for column, name in conditions:
        values = arrow_column(columns[column])
        rule = fit_group_rule(values, column, least_rows=50, most_levels=12)
        rows &= rule.codes(values) == rule.names.index(name)
    return rows


def repairs(samples: int) -> Iterator[str]:
    """Log loss of new rows after the repair minus that of the probabilities as they are, in thousandths of a nat."""
    yield "| rows | groups | bias (SD) | left as they are | change of log loss | worse | change without pooling |"
    yield "| --- " * 7 + "|"
    for n, G, deviation in ((2000, 20, 0.0), (2000, 20, 0.3), (2000, 20, 0.6), (2000, 200, 0.6)):
        random, change, none, free = np.random.default_rng(n + G), [], [], []
        for _ in range(samples):
            bias = deviation * random.normal(size=G)
            P, g, y = drawn(random, n, bias)
            new_P, new_g, _ = drawn(random, 20_000, bias)
            truth = shifted(new_P, bias[new_g])
            calibrator = GroupCalibrator().fit(P, y, g.astype(str), range(2))
            none.append(calibrator.method_ == "none")
            pooled = calibrator.predict_proba(new_P, new_g.astype(str))
            single = shifted(new_P, own_offsets(P, y, g, G)[new_g])
            losses = [-(truth * np.log(after)).sum(axis=1) for after in (new_P, pooled, single)]
            change.append(float((losses[1] - losses[0]).mean()))
            free.append(float((losses[2] - losses[0]).mean()))
        worse = [value > 1e-6 for value in change]
        means = [f"{1e3 * np.mean(v):+.2f} ± {1e3 * np.std(v, ddof=1) / np.sqrt(samples):.2f}" for v in (change, free)]
        yield f"| {n:,} | {G} | {deviation} | {share(none)} | {means[0]} | {share(worse)} | {means[1]} |"


def drawn(random: np.random.Generator, n: int, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, groups and labels of n rows whose groups have these biases."""
    P = softmax(1.5 * random.normal(size=(n, 2)))
    g = random.integers(len(bias), size=n)
    return P, g, labels(random, shifted(P, bias[g]))


def own_offsets(P: np.ndarray, y: np.ndarray, g: np.ndarray, G: int) -> np.ndarray:
    """The offset of each group alone, without pooling (with half a row of each class added)."""
    offsets = np.zeros(G)
    for k in range(G):
        p, one = P[g == k, 1], y[g == k] == 1
        for _ in range(30 if len(p) else 0):
            now = 1 / (1 + (1 - p) / p * np.exp(-offsets[k]))
            slope = one.sum() - now.sum() + 0.5 - 1 / (1 + np.exp(-offsets[k]))
            offsets[k] += np.clip(slope / ((now * (1 - now)).sum() + 0.25), -1, 1)
    return offsets


def coverages(samples: int) -> Iterator[str]:
    """Coverage of the 95% interval of the calibration gap by offsets, and level of its limit by chance."""
    yield "| rows | classes | scale of logits | bias | gap in nats | coverage | above the limit by chance |"
    yield "| --- " * 7 + "|"
    for n, q, scale, bias in (
        (50, 2, 1.5, 0.0), (50, 2, 1.5, 0.8), (200, 2, 2.0, 0.0), (200, 2, 2.0, 0.5), (200, 2, 4.0, 1.0),
        (200, 4, 2.0, 0.5), (1000, 2, 2.0, 0.2), (1000, 4, 2.0, 2.0),
    ):  # fmt: skip
        random, covered, above = np.random.default_rng(n + q), [], []
        offset = bias * np.eye(q)[-1]
        many = softmax(scale * random.normal(size=(200_000, q)))
        true = softmax(np.log(many) + offset)
        gap = float((true * (np.log(true) - np.log(many))).sum(axis=1).mean())
        for _ in range(samples):
            P = softmax(scale * random.normal(size=(n, q)))
            y = labels(random, softmax(np.log(P) + offset))
            draws = label_drawer(P)(random, 199)
            counts = np.stack([(draws == k).sum(axis=1) for k in range(q)], axis=1)
            found = offset_gap(P, np.bincount(y, minlength=q), counts)
            covered.append(found.gap.low <= gap <= found.gap.high)
            above.append(found.gap.value > found.by_chance)
        yield f"| {n:,} | {q} | {scale} | {bias} | {gap:.4f} | {share(covered)} | {share(above)} |"


def powers(samples: int) -> Iterator[str]:
    """How often the test of groups and the test of all rows reject a group with a bias of its log-odds."""
    yield "| rows | bias | test of groups | test of `audit` for all rows |"
    yield "| --- " * 4 + "|"
    for n, bias in ((200, 0.0), (100, 0.5), (200, 0.5), (500, 0.3)):
        random, ours, other = np.random.default_rng(n), [], []
        for _ in range(samples):
            P = softmax(1.5 * random.normal(size=(n, 2)))
            y = labels(random, shifted(P, np.full(n, bias)))
            ours.append(check_group(P, y, draws=199).p_value <= LEVEL)
            other.append(check_calibration(P, y, draws=199).p_value <= LEVEL)
        yield f"| {n:,} | {bias} | {share(ours)} | {share(other)} |"


PARTS = {"fdr": false_discoveries, "search": searches, "repair": repairs, "coverage": coverages, "power": powers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    for name in arguments.only:
        start = time.perf_counter()
        print(f"\n{PARTS[name].__doc__} ({arguments.samples} samples)\n", flush=True)
        for line in PARTS[name](arguments.samples):
            print(line, flush=True)
        print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
