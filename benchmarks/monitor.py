"""False alarms and detection delays of `softreg.Monitor`, beside the PIT monitor, by simulation.

    python benchmarks/monitor.py                              all of these
    python benchmarks/monitor.py false-alarms [--streams 1000] [--rows 100000]
    python benchmarks/monitor.py delays [--streams 200]
    python benchmarks/monitor.py friedman [--streams 200]     needs the package river
    python benchmarks/monitor.py verdicts [--streams 200]
    python benchmarks/monitor.py unlabelled [--streams 1000]

Streams move in step through the same e-process as `softreg.Monitor` (`softreg.monitor.e_process.EProcess`). The PIT
monitor is that of Farran, "When your model stops working: anytime-valid calibration monitoring" (arXiv 2603.13156),
written here from the published procedure: conformal p-values of the randomised probability integral transforms, bets by
a histogram with 100 bins, and a mixture over the start of the change with weights 1 / (t (t + 1)). It tests that the
transforms are exchangeable, so that it needs rows before the change; `softreg.Monitor` tests that the probabilities are
right. Errors after ± are standard errors of the simulation.
"""

from __future__ import annotations

import argparse
import time
from bisect import bisect_left, insort
from collections.abc import Callable

import numpy as np

from softreg.monitor.betting import BLOCK
from softreg.monitor.calibration_test import CalibrationTest
from softreg.monitor.class_rates import class_rates
from softreg.monitor.column_drift import ColumnReference, compare_column, corrected_level
from softreg.monitor.e_process import EProcess
from softreg.monitor.verdict import advise
from softreg.probability import softmax

WHAT = ["false-alarms", "delays", "verdicts", "unlabelled", "friedman"]
ALPHA = 0.05
CHANGE = 2000
AFTER = 10_000
Truth = Callable[[np.ndarray, int], np.ndarray]
"""Logits (S, B, K) of the true probabilities, from those of the model and the rows since the change."""


def temperature(factor: float) -> Truth:
    return lambda logits, since: factor * logits


def prior_shift(factor: float) -> Truth:
    return lambda logits, since: logits + np.log(factor) * (np.arange(logits.shape[-1]) == 0)


def one_class(factor: float) -> Truth:
    return lambda logits, since: np.where(np.arange(logits.shape[-1]) == 0, factor * logits, logits)


def gradual(factor: float, rows: int) -> Truth:
    return lambda logits, since: (1 + (factor - 1) * min(1.0, since / rows)) * logits


CHANGES: dict[str, Truth] = {
    "overconfident, logits x 0.5": temperature(0.5),
    "overconfident, logits x 0.8": temperature(0.8),
    "underconfident, logits x 1.5": temperature(1.5),
    "one class three times as frequent": prior_shift(3.0),
    "one class 1.5 times as frequent": prior_shift(1.5),
    "logit of one class x 0.5": one_class(0.5),
    "gradual to x 0.5 in 5,000 rows": gradual(0.5, 5000),
}


def draw(random: np.random.Generator, P: np.ndarray) -> np.ndarray:
    """Labels of probabilities (..., K)."""
    return np.minimum((P.cumsum(axis=-1) < random.random((*P.shape[:-1], 1))).sum(axis=-1), P.shape[-1] - 1)


def first_crossing(reached: np.ndarray, before: np.ndarray, row: int) -> np.ndarray:
    """Row of the first alarm of each stream (S,), from those `reached` (S, B) in a block; 0 for none."""
    return np.where((before == 0) & reached.any(axis=1), row + 1 + reached.argmax(axis=1), before)


class PITMonitors:
    """The PIT monitors of S streams that move in step."""

    def __init__(self, streams: int, bins: int) -> None:
        self.bins, self.rows = bins, 0
        self.sorted: list[list[float]] = [[] for _ in range(streams)]
        self.counts = np.ones((streams, bins))
        self.value, self.alarm = np.zeros(streams), np.zeros(streams, dtype=np.int64)

    def update(self, pit: np.ndarray, random: np.random.Generator) -> None:
        """Add one transform (S,) of each stream."""
        self.rows += 1
        below = np.empty(len(pit))
        for s, (seen, u) in enumerate(zip(self.sorted, pit.tolist(), strict=True)):
            below[s] = bisect_left(seen, u)
            insort(seen, u)
        p = (below + random.random(len(pit))) / self.rows
        bin_ = np.minimum((p * self.bins).astype(int), self.bins - 1)
        at = np.arange(len(pit))
        bet = self.counts[at, bin_] * self.bins / self.counts.sum(axis=1)
        self.counts[at, bin_] += 1
        self.value = bet * (self.value + 1 / (self.rows * (self.rows + 1)))
        self.alarm = np.where((self.alarm == 0) & (self.value >= 1 / ALPHA), self.rows, self.alarm)


def transforms(random: np.random.Generator, P: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Randomised probability integral transforms of labels: F(y - 1) + V p(y)."""
    upper = np.take_along_axis(P.cumsum(axis=-1), codes[..., None], axis=-1)[..., 0]
    return upper - random.random(codes.shape) * np.take_along_axis(P, codes[..., None], axis=-1)[..., 0]


def design(random: np.random.Generator, streams: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale (S, 1, 1) and centre (S, 1, K) of the logits: from almost useless to accurate, some classes rare."""
    scale = np.exp(random.uniform(np.log(0.3), np.log(4.0), (streams, 1, 1)))
    return scale, random.normal(size=(streams, 1, classes))


def false_alarms(streams: int, rows: int, classes: int, seed: int, at_once: int = 250) -> None:
    """Print the share of streams with right probabilities that ever raise an alarm."""
    start, alarms, named, done = time.process_time(), 0, 0, 0
    while done < streams:
        S = min(at_once, streams - done)
        random = np.random.default_rng([seed, classes, done])
        scale, centre = design(random, S, classes)
        process, highest, highest_class = EProcess.start(S, classes), np.zeros(S), np.zeros(S)
        for _ in range(0, rows, BLOCK):
            P = softmax(centre + scale * random.normal(size=(S, BLOCK, classes)))
            values = process.advance(P, draw(random, P))
            highest = np.maximum(highest, values.overall.max(axis=1))
            highest_class = np.maximum(highest_class, values.by_class.max(axis=(1, 2)))
        reached, class_reached = highest >= -np.log(ALPHA), highest_class >= np.log(2 * classes / ALPHA)
        assert (reached | ~class_reached).all()
        alarms, named, done = alarms + int(reached.sum()), named + int(class_reached.sum()), done + S
        share = alarms / done
        error = np.sqrt(share * (1 - share) / done)
        seconds = time.process_time() - start
        print(
            f"{classes} classes, {done:,} streams of {rows:,} rows: false alarms ever {share:.3f} ± {error:.3f}, "
            f"a class named {named / done:.3f}; {seconds / done / rows * 1e6:.1f} microseconds a row",
            flush=True,
        )


def run_change(name: str, truth: Truth, streams: int, classes: int, change: int, bins: tuple[int, ...]) -> None:
    """Print the delays of one change."""
    random, noise = np.random.default_rng([7, classes]), np.random.default_rng(8)
    process, alarm = EProcess.start(streams, classes), np.zeros(streams, dtype=np.int64)
    monitors = [PITMonitors(streams, b) for b in bins]
    for row in range(0, change + AFTER, BLOCK):
        logits = 2 * random.normal(size=(streams, BLOCK, classes))
        P = softmax(logits)
        codes = draw(random, softmax(truth(logits, row - change)) if row >= change else P)
        alarm = first_crossing(process.advance(P, codes).overall >= -np.log(ALPHA), alarm, row)
        pit = transforms(noise, P, codes)
        for monitor in monitors:
            for column in pit.T if (monitor.alarm == 0).any() else ():
                monitor.update(column, noise)
        if alarm.all() and all(monitor.alarm.all() for monitor in monitors):
            break
    for who, rows in [("softreg", alarm), *((f"PIT {m.bins}", m.alarm) for m in monitors)]:
        print(f"{name:36s} {who:8s} {delay_text(rows, change)}", flush=True)


def delay_text(alarm: np.ndarray, change: int) -> str:
    """False alarms before the change, share detected, median and mean delay of the other streams (at most AFTER)."""
    early = (alarm > 0) & (alarm <= change)
    delay = np.where(alarm == 0, AFTER, alarm - change)[~early]
    resampled = np.random.default_rng(0).choice(delay, (400, len(delay)))
    return (
        f"early {early.mean():.3f}  detected {(alarm[~early] > 0).mean():.3f}  median {np.median(delay):6.0f} ± "
        f"{np.median(resampled, axis=1).std():4.0f}  mean {delay.mean():6.0f} ± {resampled.mean(axis=1).std():4.0f}"
    )


def delays(streams: int) -> None:
    """Print delays of all changes, for three classes, after 2,000 rows that are right."""
    for name, truth in CHANGES.items():
        run_change(name, truth, streams, 3, CHANGE, (100, 10))


def friedman(streams: int) -> None:
    """Print delays on the streams of the paper: FriedmanDrift, 2,500 rows before and after the change.

    The target is cut at its quintiles into five classes; a boosted classifier is trained on 10,000 rows, as in the
    paper, and calibrated on 50,000 others, since `softreg.Monitor` rightly objects to a classifier that is off from the
    start. The PIT monitor has the transforms of these classes, and, as in the paper, those of a regression with normal
    errors, whose deviation is that of the 50,000 rows.
    """
    from river.datasets.synth import FriedmanDrift
    from scipy.stats import norm
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    from softreg import Calibrator

    def rows(kind: str, n: int, positions: tuple[int, ...], window: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        stream = FriedmanDrift(drift_type=kind, position=positions, transition_window=window, seed=seed)
        taken = [([*x.values()], y) for x, y in stream.take(n)]
        return np.array([x for x, _ in taken]), np.array([y for _, y in taken])

    before, after = 2500, 2500
    far = 1_000_000
    X, y = rows("gra", 60_000, (far, far + 1), 0, 1)
    cuts = np.quantile(y, [0.2, 0.4, 0.6, 0.8])
    fit, rest = slice(0, 10_000), slice(10_000, None)
    classifier = HistGradientBoostingClassifier(random_state=0).fit(X[fit], np.searchsorted(cuts, y[fit]))
    calibrator = Calibrator().fit(classifier.predict_proba(X[rest]), np.searchsorted(cuts, y[rest]))
    regressor = HistGradientBoostingRegressor(random_state=0).fit(X[fit], y[fit])
    deviation = float(np.sqrt(((y[rest] - regressor.predict(X[rest])) ** 2).mean()))
    step = after // 3
    scenarios = {
        "gra": ("gra", (before, far), 0),
        "gsg": ("gsg", (before, far), 500),
        "lea": ("lea", (before, before + step, before + 2 * step), 0),
    }
    for name, (kind, positions, window) in scenarios.items():
        noise, P, codes, pit = np.random.default_rng(3), [], [], []
        for s in range(streams):
            X, y = rows(kind, before + after, positions, window, 1000 + s)
            P.append(calibrator.predict_proba(classifier.predict_proba(X)))
            codes.append(np.searchsorted(cuts, y))
            pit.append(norm.cdf((y - regressor.predict(X)) / deviation))
        alarms = monitor_streams(np.array(P), np.array(codes), np.array(pit), noise)
        for who, alarm in alarms.items():
            early, hit = (alarm > 0) & (alarm <= before), alarm > before
            delay = (alarm - before)[hit]
            error = delay.std() / np.sqrt(max(len(delay), 1))
            print(
                f"{name}  {who:20s} detected {hit.mean():.3f}  early {early.mean():.3f}  mean delay of the detected "
                f"{delay.mean():5.0f} ± {error:3.0f}  median {np.median(delay):5.0f}",
                flush=True,
            )


def monitor_streams(
    P: np.ndarray, codes: np.ndarray, pit: np.ndarray, noise: np.random.Generator
) -> dict[str, np.ndarray]:
    """First alarms of all monitors on streams P (S, n, K), codes (S, n) and transforms of a regression (S, n)."""
    streams, n, classes = P.shape
    process, alarm = EProcess.start(streams, classes), np.zeros(streams, dtype=np.int64)
    for row in range(0, n, BLOCK):
        block = slice(row, row + BLOCK)
        alarm = first_crossing(process.advance(P[:, block], codes[:, block]).overall >= -np.log(ALPHA), alarm, row)
    results = {"softreg": alarm}
    for who, values in (("PIT of the classes", transforms(noise, P, codes)), ("PIT of a regression", pit)):
        monitor = PITMonitors(streams, 100)
        for column in values.T:
            monitor.update(column, noise)
        results[who] = monitor.alarm
    return results


def verdicts(streams: int) -> None:
    """Print the shares of the verdicts 2,000 rows after a change, through the public test of one stream."""
    for name in ("overconfident, logits x 0.5", "one class three times as frequent", "logit of one class x 0.5"):
        counts: dict[str, int] = {}
        for s in range(streams):
            random = np.random.default_rng([9, s])
            test, logits = CalibrationTest(3), 2 * random.normal(size=(1, 2 * CHANGE, 3))
            P = softmax(logits)
            true = np.concatenate([P[:, :CHANGE], softmax(CHANGES[name](logits[:, CHANGE:], CHANGE))], axis=1)
            test.update(P[0], draw(random, true)[0])
            counts[str(advise(test))] = counts.get(str(advise(test)), 0) + 1
        shares = ", ".join(f"{who} {count / streams:.2f}" for who, count in sorted(counts.items()))
        print(f"{name:36s} {shares}", flush=True)


def unlabelled(samples: int) -> None:
    """Print the coverage of the intervals of class rates, and false findings of the tests of columns."""
    for n in (200, 1000):
        for rates in ((0.5, 0.5), (0.9, 0.1), (0.3, 0.6, 0.1)):
            random, covered, K = np.random.default_rng([11, n]), np.zeros(len(rates)), len(rates)
            before = np.full(K, 1 / K)
            for _ in range(samples):
                y = random.choice(K, n, p=rates)
                x = random.normal(size=(n, K)) + 1.5 * np.eye(K)[y]
                P = softmax(1.5 * x)  # the posterior of normal features under equal rates
                covered += [i.low <= r <= i.high for i, r in zip(class_rates(P, before), rates, strict=True)]
            error = np.sqrt(0.95 * 0.05 / samples)
            print(
                f"class rates {rates}, {n:,} rows: coverage {np.round(covered / samples, 3)} ± {error:.3f}", flush=True
            )
    found, columns, looks = 0, 10, 20
    for s in range(samples):
        random = np.random.default_rng([12, s])
        kinds = [random.normal, random.standard_cauchy, random.standard_exponential] * 3 + [random.normal]
        references = [ColumnReference.of(str(j), kind(size=500)) for j, kind in enumerate(kinds)]
        found += any(
            compare_column(reference, kind(size=300), corrected_level(ALPHA, columns, look)).changed
            for look in range(1, looks + 1)
            for reference, kind in zip(references, kinds, strict=True)
        )
    share = found / samples
    error = np.sqrt(share * (1 - share) / samples)
    print(f"{columns} columns, {looks} batches: any false finding {share:.3f} ± {error:.3f} of {samples:,} runs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=WHAT, nargs="*", default=WHAT)
    parser.add_argument("--streams", type=int)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for what in arguments.what:
        if what == "false-alarms":
            false_alarms(arguments.streams or 1000, arguments.rows, arguments.classes, arguments.seed)
        elif what == "unlabelled":
            unlabelled(arguments.streams or 1000)
        else:
            {"delays": delays, "friedman": friedman, "verdicts": verdicts}[what](arguments.streams or 200)


if __name__ == "__main__":
    main()
