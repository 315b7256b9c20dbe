"""Coverage of the 95% intervals for log loss and Brier score, level and power of the exact test, by simulation.

    python benchmarks/intervals.py [--samples 400] [--classes 2 10] [--rows 50 200 1000]

Data are drawn from known probabilities: logits are normal, scaled so that the accuracy is 99.7%, 97% or 80%. The
predicted probabilities are the true ones ("right"), those of doubled or halved logits, or the true ones of labels of
which one in 200 is then drawn at random ("label noise"). The expected score is that of 200,000 rows, over all labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from softreg.probability import bootstrap_means, check_calibration, interval, score_interval, softmax

ACCURACIES = (0.997, 0.97, 0.8)
PREDICTED = ("right", "doubled logits", "halved logits", "label noise")
NOISE = 0.005
LEAST = 1e-250
"""Least probability of a class."""


def scale_of(accuracy: float, q: int) -> float:
    """Scale of normal logits of q classes at which the most likely class has this probability on average."""
    o = np.random.default_rng(9).normal(size=(40_000, q))
    low, high = 0.1, 300.0
    for _ in range(40):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if softmax(middle * o).max(axis=1).mean() < accuracy else (low, middle)
    return float(middle)


def draw(random: np.random.Generator, n: int, q: int, scale: float, predicted: str) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true probabilities of n rows."""
    o = scale * random.normal(size=(n, q))
    truth = np.maximum(softmax(o), LEAST)  # an underflow to 0 would make the expected log loss infinite
    if predicted == "label noise":
        return truth, (1 - NOISE) * truth + NOISE / q
    factor = {"right": 1.0, "doubled logits": 2.0, "halved logits": 0.5}[predicted]
    return np.maximum(softmax(factor * o), LEAST), truth


def labels(random: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    return np.minimum((truth.cumsum(axis=1) < random.random((len(truth), 1))).sum(axis=1), truth.shape[1] - 1)


def scores(P: np.ndarray, score: str) -> np.ndarray:
    """Score (n, q) of each row for each label that it may have."""
    if score == "log loss":
        return -np.log(P)
    return (P * P).sum(axis=1, keepdims=True) + 1 - 2 * P


def covered(
    score: str, q: int, n: int, accuracy: float, predicted: str, samples: int, *, bootstrap: bool = True
) -> tuple[float, float]:
    """Shares of samples whose interval contains the expected score: ours, and that of the percentile bootstrap."""
    random, scale = np.random.default_rng(n + q), scale_of(accuracy, q)
    P, truth = draw(random, 200_000, q, scale, predicted)
    expected = float((truth * scores(P, score)).sum(axis=1).mean())
    ours, theirs = 0, 0
    for _ in range(samples):
        P, truth = draw(random, n, q, scale, predicted)
        y, S = labels(random, truth), scores(P, score)
        found = score_interval(S, P, y)
        ours += found.low <= expected <= found.high
        if bootstrap:
            seen = S[np.arange(n), y]
            other = interval(seen.mean(), bootstrap_means(seen, draws=199))
            theirs += other.low <= expected <= other.high
    return ours / samples, theirs / samples


def table(samples: int, classes: list[int], sizes: list[int]) -> Iterator[str]:
    yield "| score | classes | accuracy | predicted probabilities | " + " | ".join(f"n = {n:,}" for n in sizes) + " |"
    yield "| --- " * (4 + len(sizes)) + "|"
    for score in ("log loss", "Brier"):
        for q in classes:
            for accuracy in ACCURACIES:
                for predicted in PREDICTED:
                    found = [covered(score, q, n, accuracy, predicted, samples) for n in sizes]
                    cells = " | ".join(f"{ours:.1%} ({other:.1%})" for ours, other in found)
                    yield f"| {score} | {q} | {accuracy:.1%} | {predicted} | {cells} |"


def power_table(samples: int) -> Iterator[str]:
    """Level of the exact test, and its power where errors have the size that is said to be detectable."""
    yield "| rows | classes | right: p at most 0.05 | right: p at most 0.01 | error of the detectable size: rejected |"
    yield "| --- " * 5 + "|"
    for n, q in ((200, 2), (1000, 2), (1000, 10)):
        random, p_right, p_off = np.random.default_rng(n), [], []
        for _ in range(samples):
            o = random.normal(scale=1.5, size=(n, q))
            P = softmax(o)
            right = check_calibration(P, labels(random, P), draws=199)
            size = right.detectable if q == 2 else right.top_detectable
            p_right.append(right.p_value)
            p_off.append(check_calibration(P, labels(random, _off(P, size, random)), draws=199).p_value)
        shares = np.mean(np.array(p_right)[:, None] <= [0.05, 0.01], axis=0)
        yield f"| {n:,} | {q} | {shares[0]:.1%} | {shares[1]:.1%} | {np.mean(np.array(p_off) <= 0.05):.1%} |"


def _off(P: np.ndarray, size: float, random: np.random.Generator) -> np.ndarray:
    """True probabilities whose most likely class differs by `size`, up or down in each tenth of its range."""
    top, at = P.argmax(axis=1), np.arange(len(P))
    p = P[at, top]
    side = np.where(random.random(10) < 0.5, -1.0, 1.0)[np.minimum((10 * p).astype(int), 9)]
    new = np.clip(p + side * size, 0.001, 0.999)
    truth = P * ((1 - new) / np.maximum(1 - p, 1e-12))[:, None]
    truth[at, top] = new
    return truth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 10])
    parser.add_argument("--rows", type=int, nargs="+", default=[50, 200, 1000])
    asked = parser.parse_args()
    print("Share of samples whose 95% interval contains the expected score (in brackets: percentile bootstrap)")
    for line in table(asked.samples, asked.classes, asked.rows):
        print(line, flush=True)
    print()
    for line in power_table(asked.samples):
        print(line, flush=True)


if __name__ == "__main__":
    main()
