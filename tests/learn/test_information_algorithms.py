"""Codes, draws and reliability curves of the learning page in JavaScript, against softreg and brute force."""

from __future__ import annotations

import itertools
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from softreg.models.calibration.temperature import fit_scaling
from softreg.probability import (
    accuracy,
    brier,
    cross_entropy,
    cross_entropy_with_logits,
    decode_labels,
    encode_labels,
    entropy,
    kl_divergence,
    log_loss,
    residual,
    softmax,
)
from softreg.report.evaluation.reliability import poisson_binomial, reliability_curve
from softreg.splitmix import as_uniform, hashed

from .node_algorithms import run_node

DISTRIBUTIONS = ("script/softmax.js", "script/distributions.js")
CODES = (*DISTRIBUTIONS, "parts/information/huffman.js", "parts/information/arithmetic.js", "decoders.js")
RELIABILITY = ("script/random.js", *DISTRIBUTIONS, "parts/calibration/reliability.js")
TOLERANCE = 1e-12


def random_weights(seed: int, count: int = 60) -> list[list[int]]:
    """Weights of 2 to 8 labels from 1 to 100, some of them equal, and dyadic ones."""
    random = np.random.default_rng(seed)
    drawn = [random.integers(1, random.choice([3, 101]), random.integers(2, 9)).tolist() for _ in range(count)]
    return [*drawn, [1, 1], [8, 4, 2, 1, 1], [100, 1, 1, 1], [1] * 8]


@cache
def least_mean_length(weights: tuple[int, ...]) -> int:
    """Least sum of weight times depth over all binary trees: every way to join two subtrees is tried."""
    if len(weights) == 1:
        return 0
    found = []
    for a, b in itertools.combinations(range(len(weights)), 2):
        rest = [w for k, w in enumerate(weights) if k not in (a, b)]
        joined = weights[a] + weights[b]
        found.append(joined + least_mean_length(tuple(sorted([*rest, joined]))))
    return min(found)


def test_the_generator_is_that_of_softreg(tmp_path: Path) -> None:
    found = run_node(
        tmp_path, ("script/random.js",), "given.map((seed) => seededUniforms(seed, 100))", [0, 1, 7, 2**31]
    )
    for seed, uniforms in zip([0, 1, 7, 2**31], found, strict=True):
        np.testing.assert_array_equal(uniforms, as_uniform(hashed(np.arange(100), seed)))


def test_information_is_that_of_softreg(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pairs = [random.dirichlet(np.full(q, 0.5), 2).tolist() for q in (2, 3, 5, 8) for _ in range(20)]
    pairs += [[[0.0, 1.0], [0.25, 0.75]], [[0.3, 0.7], [0.3, 0.7]], [[0.5, 0.5], [0.5 + 1e-9, 0.5 - 1e-9]]]
    found = run_node(
        tmp_path, CODES, "given.map(([p, q]) => [entropy(p), crossEntropyNats(p, q), klNats(p, q)])", pairs
    )
    for (p, q), measures in zip(pairs, found, strict=True):
        wanted = [entropy(p), cross_entropy(p, q), kl_divergence(p, q)]
        np.testing.assert_allclose(measures, wanted, rtol=TOLERANCE, atol=1e-15)


def test_huffman_words_are_a_prefix_code_of_least_mean_length(tmp_path: Path) -> None:
    given = random_weights(2)
    found = run_node(
        tmp_path, CODES, "given.map((w) => { const c = huffmanWords(w); return [c, meanWordLength(w, c)]; })", given
    )
    for weights, (words, mean) in zip(given, found, strict=True):
        assert all(not b.startswith(a) for a, b in itertools.permutations(words, 2))
        assert sum(Fraction(1, 2 ** len(word)) for word in words) == 1
        assert sum(w * len(word) for w, word in zip(weights, words, strict=True)) == least_mean_length(
            tuple(sorted(weights))
        )
        bits = float(entropy(np.array(weights) / sum(weights), unit="bit"))
        assert bits - TOLERANCE <= mean < bits + 1


def test_codes_are_decoded_to_their_messages(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    cases = [
        {"weights": weights, "labels": random.integers(0, len(weights), random.integers(0, 21)).tolist()}
        for weights in random_weights(3)
    ]
    found = run_node(
        tmp_path,
        CODES,
        """given.map(({ weights, labels }) => {
          const words = huffmanWords(weights), p = normalizedWeights(weights), bytes = encodedLabels(labels, p);
          const intervals = messageIntervals(labels, weights), last = intervals[intervals.length - 1];
          const bits = shortestBits(last);
          return {
            huffman: decodedWords(labels.map((k) => words[k]).join(""), words),
            arithmetic: decodedBits(bits, labels.length, weights), bits, bytes,
            coder: decodedBytes(bytes, labels.length, p),
            ends: intervals.map((i) => [i.low, i.width, i.denominator].map(String)),
          };
        })""",
        cases,
    )
    for case, result in zip(cases, found, strict=True):
        labels, p = case["labels"], np.array(case["weights"]) / sum(case["weights"])
        assert result["huffman"] == labels
        assert result["arithmetic"] == labels
        assert result["coder"] == labels
        low, width, denominator = map(int, result["ends"][-1])
        product = np.prod([Fraction(case["weights"][k], sum(case["weights"])) for k in labels] or [Fraction(1)])
        assert Fraction(width, denominator) == product
        point = Fraction(int("0" + result["bits"], 2), 2 ** len(result["bits"]))
        assert Fraction(low, denominator) <= point < Fraction(low + width, denominator)
        ideal = -np.log2(p[labels]).sum()
        assert len(result["bits"]) < ideal + 1
        if labels:
            P = np.tile(p, (len(labels), 1))
            assert bytes(result["bytes"]) == encode_labels(labels, P)
            assert decode_labels(bytes(result["bytes"]), P).tolist() == labels


def test_the_fewest_digits_are_the_fewest(tmp_path: Path) -> None:
    given = [{"weights": [3, 2, 1], "labels": list(labels)} for labels in itertools.product(range(3), repeat=4)]
    expression = "given.map(({ weights, labels }) => shortestBits(messageIntervals(labels, weights).at(-1)))"
    for case, bits in zip(given, run_node(tmp_path, CODES, expression, given), strict=True):
        low, width = Fraction(0), Fraction(1)
        for k in case["labels"]:
            low, width = low + width * Fraction([0, 3, 5][k], 6), width * Fraction([3, 2, 1][k], 6)
        shorter = [Fraction(j, 2**m) for m in range(len(bits)) for j in range(2**m)]
        assert not any(low <= point < low + width for point in shorter)


def test_a_long_code_of_a_likely_label_is_shorter_than_one_bit_each(tmp_path: Path) -> None:
    expression = "encodedLabels(drawnLabels(seededUniforms(5, 1000), given), normalizedWeights(given)).length"
    length = run_node(tmp_path, (*CODES, "script/random.js"), expression, [95, 5])
    labels = np.searchsorted([95, 100], as_uniform(hashed(np.arange(1000), 5)) * 100, side="right")
    assert length == len(encode_labels(labels, np.tile([0.95, 0.05], (1000, 1))))
    assert 8 * length < 400


def test_decimal_fractions(tmp_path: Path) -> None:
    expression = "given.map(([a, b, digits]) => decimalFraction(BigInt(a), BigInt(b), digits))"
    assert run_node(tmp_path, CODES, expression, [[1, 3, 4], [0, 7, 2], [1, 1, 3], [1, 800, 6]]) == [
        "0.3333\u2026",
        "0",
        "1",
        "0.00125",
    ]


def test_the_loss_of_noisy_labels_stops_at_its_floor(tmp_path: Path) -> None:
    given = [[0.1, 3, 0], [0.25, 10, 4], [0.5, 2, 1], [0.0, 4, 2]]
    found = run_node(
        tmp_path,
        ("script/random.js", "script/softmax.js", "script/distributions.js", "parts/information/noise_model.js"),
        """given.map(([noise, q, seed]) => {
          const n = 600, rows = noisyLabels(seed, { n, q, noise });
          const share = rows.labels.filter((label, i) => label !== rows.classes[i]).length / n;
          const path = noiseDescent(share, q, { steps: 60, rate: 1 });
          return { ...rows, share, floor: noiseFloor(noise, q), known: lossOfConfidence(1 - noise, share, q), path };
        })""",
        given,
    )
    for (noise, q, seed), result in zip(given, found, strict=True):
        classes, labels = np.array(result["classes"]), np.array(result["labels"])
        u = as_uniform(hashed(np.arange(1200), seed)).reshape(600, 2)
        wanted = np.where(u[:, 0] < noise, (classes + 1 + (u[:, 1] * (q - 1)).astype(int)) % q, classes)
        np.testing.assert_array_equal(labels, wanted)
        assert result["share"] == np.mean(labels != classes)
        P = np.full((600, q), noise / (q - 1))
        P[np.arange(600), classes] = 1 - noise
        assert result["floor"] == pytest.approx(float(entropy(P[0])), abs=TOLERANCE)
        assert result["known"] == pytest.approx(log_loss(P, labels), abs=TOLERANCE)
        t = 0.0
        for point in result["path"]:
            o = t * np.eye(q)[classes]
            assert point["t"] == pytest.approx(t, abs=TOLERANCE)
            loss = float(np.mean(cross_entropy_with_logits(o, np.eye(q)[labels])))
            assert point["loss"] == pytest.approx(loss, abs=TOLERANCE)
            t -= float(residual(o, np.eye(q)[labels])[np.arange(600), classes].mean())


def test_the_poisson_binomial_distribution_and_its_interval(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    given = [random.random(n).tolist() for n in (1, 2, 7, 60, 400)] + [[0.5] * 100, [0.1] * 50, [0.0, 1.0, 0.5]]
    expression = "given.map((p) => { const m = poissonBinomial(p); return [[...m], centralInterval(m, 0.95)]; })"
    for p, (masses, ends) in zip(given, run_node(tmp_path, RELIABILITY, expression, given), strict=True):
        np.testing.assert_allclose(masses, poisson_binomial(p), atol=TOLERANCE)
        if len(set(p)) == 1:
            np.testing.assert_allclose(masses, scipy.stats.binom.pmf(np.arange(len(p) + 1), len(p), p[0]), atol=1e-12)
            assert ends == [scipy.stats.binom.ppf(share, len(p), p[0]) for share in (0.025, 0.975)]


def slope_of_factor(factor: float, o: np.ndarray, y: np.ndarray) -> float:
    """Derivative of the mean log loss with respect to the factor of the logits."""
    return float(np.mean(o * (softmax(np.column_stack([0 * o, factor * o]))[:, 1] - y)))


def test_reliability_and_scores_of_scaled_logits_are_those_of_softreg(tmp_path: Path) -> None:
    given = [[seed, n, factor] for seed, n in ((0, 200), (3, 1000), (9, 2000)) for factor in (0.25, 1, 2, 4)]
    found = run_node(
        tmp_path,
        (*RELIABILITY, "parts/calibration/scaled_logits.js"),
        """given.map(([seed, n, factor]) => {
          const rows = simulatedRows(seed, n), p = rows.logits.map((o) => logistic(factor * o));
          return {
            labels: rows.labels, p, loss: scaledLoss(rows, factor), accuracy: scaledAccuracy(rows, factor),
            brier: scaledBrier(rows, factor), divergence: scaledDivergence(rows, factor), best: bestFactor(rows),
            bins: reliabilityBins(p, rows.labels, { bins: 10, level: 0.95 }),
          };
        })""",
        given,
    )
    for (seed, n, factor), result in zip(given, found, strict=True):
        u = as_uniform(hashed(np.arange(2 * n), seed)).reshape(n, 2)
        o, y = np.log(u[:, 0] / (1 - u[:, 0])), (u[:, 1] < u[:, 0]).astype(int)
        P, truth = softmax(np.column_stack([0 * o, factor * o])), np.column_stack([1 - u[:, 0], u[:, 0]])
        p = P[:, 1]
        assert result["labels"] == y.tolist()
        np.testing.assert_allclose(result["p"], p, atol=TOLERANCE)
        wanted = [log_loss(P, y), accuracy(P, y), brier(P, y), kl_divergence(truth, P).mean()]
        names = ("loss", "accuracy", "brier", "divergence")
        np.testing.assert_allclose([result[name] for name in names], wanted, atol=TOLERANCE)
        curve = reliability_curve(p, y)
        assert [bin_["count"] for bin_ in result["bins"]] == curve.count.tolist()
        for name in ("predicted", "observed", "low", "high"):
            shown = [bin_[name] for bin_ in result["bins"] if bin_["count"]]
            np.testing.assert_allclose(shown, getattr(curve, name)[curve.filled], atol=TOLERANCE)
        assert [bin_["outside"] for bin_ in result["bins"]] == curve.outside.tolist()
        best = fit_scaling(np.log(truth), y, shared=True, strength=0.0)
        assert result["best"] == pytest.approx(best.scale[0], abs=1e-4)
        root = scipy.optimize.brentq(slope_of_factor, 0, 64, (o, y), xtol=1e-14)
        assert result["best"] == pytest.approx(root, abs=TOLERANCE)


def test_a_bin_contains_its_lower_edge(tmp_path: Path) -> None:
    p = [0.0, 0.1, 0.3, np.nextafter(0.3, 0), 0.6, 0.7, np.nextafter(0.7, 0), 0.9999999999999999, 1.0]
    found = run_node(tmp_path, RELIABILITY, "given.map((p) => binOf(p, 10))", p)
    assert [int(np.flatnonzero(reliability_curve([x], [0]).count)[0]) for x in p] == found
