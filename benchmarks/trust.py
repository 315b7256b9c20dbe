"""The bars of the audit, measured and printed beside what was promised: `make bench PROBLEM=trust`.

Data whose truth is known, scikit-learn's digits, and MNIST; a minute in all. What MNIST and its flipped labels give
needs the data (see benchmarks/problems.py); where cleanlab is installed, its own ranking stands beside ours.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator

import data
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from softreg import Calibrator, PredictionSets, SoftmaxRegression, label_audit
from softreg.models import coverage, prequential_codelength
from softreg.probability import check_calibration, encode_labels, entropy, log_loss, softmax, surprisal
from softreg.report import audit

Drawn = tuple[np.ndarray, np.ndarray]


def told(what: str, figure: str, bar: str) -> None:
    print(f"  {what:74} {figure:34} {bar}", flush=True)


def draw(random: np.random.Generator, n: int, q: int = 10) -> Drawn:
    """Logits and labels drawn from their softmax."""
    o = random.normal(scale=1.5, size=(n, q))
    return o, np.minimum((softmax(o).cumsum(axis=1) < random.random((n, 1))).sum(axis=1), q - 1)


def consistency(draws: int = 200) -> None:
    random = np.random.default_rng(0)
    calibrated, doubled, error = 0, 0, []
    for seed in range(draws):
        o, y = draw(random, 1000)
        check = check_calibration(softmax(o), y, draws=199, seed=seed)
        calibrated, error = calibrated + (check.p_value <= 0.05), [*error, check.error]
        doubled += check_calibration(softmax(2 * o), y, draws=199, seed=seed).p_value <= 0.05
    told(f"calibrated, {draws} draws of 1,000 rows: rejected", f"{calibrated / draws:.1%}", "3% to 8%")
    mean, spread = np.mean(error), np.std(error) / math.sqrt(draws)
    told("calibrated: mean debiased error over its standard error", f"{mean / spread:+.2f}", "0 within its error")
    told("doubled logits: rejected", f"{doubled / draws:.1%}", "100%")


def repair(draws: int = 20) -> None:
    for n in (1_000, 2_000, 10_000):
        random = np.random.default_rng(n)
        lost, rise = [], []
        for _ in range(draws):
            (o, y), (new, labels) = draw(random, n), draw(random, 20_000)
            best = log_loss(softmax(new), labels)
            for factor, kept in ((2, lost), (1, rise)):
                fitted = Calibrator().fit(softmax(factor * o), y)
                kept.append(log_loss(fitted.predict_proba(softmax(factor * new)), labels) - best)
        told(
            f"{n:,} rows, doubled logits: above the calibrated loss",
            f"mean {np.mean(lost):.5f}, worst {max(lost):.5f}",
            "0.002",
        )
        told(f"{n:,} rows, calibrated: rise of the loss", f"worst {max(rise):.5f}", "0.001")


def conformal(splits: int = 200) -> None:
    X, y = load_digits(return_X_y=True)
    for name, columns in (("all pixels", X / 16), ("16 pixels", X[:, 20:36] / 16)):
        model = SoftmaxRegression(strength=1e-3)
        P = cross_val_predict(model, columns, y, cv=5, method="predict_proba")
        for options in ({"empty": True}, {"empty": True, "conformity_score": "cumulative"}, {}, {"per_class": True}):
            held, size = [], []
            for seed in range(splits):
                at = np.random.default_rng(seed).permutation(len(y))
                half = len(y) // 2
                sets = PredictionSets(0.9, **options).fit(P[at[:half]], y[at[:half]]).predict(P[at[half:]])
                held.append(coverage(sets, y[at[half:]]))
                size.append(sets.sum(axis=1).mean())
            right = np.mean(P.argmax(axis=1) == y)
            told(
                f"{name} ({right:.1%} right), 90% sets {options or ''}",
                f"{np.mean(held):.2%} covered, size {np.mean(size):.2f}",
                "89% to 91%" if options.get("empty") or right < 0.9 else "as often as right",
            )


def code_lengths() -> None:
    X, y = load_digits(return_X_y=True)
    model = SoftmaxRegression(strength=1e-3).fit(X[:900] / 16, y[:900])
    P = np.tile(model.predict_proba(X[900:] / 16), (100, 1))
    labels = np.tile(y[900:], 100)
    bits = float(surprisal(P[np.arange(len(labels)), labels], unit="bit").sum())
    over = 8 * len(encode_labels(labels, P)) - bits
    told(
        f"arithmetic coder, {len(labels):,} labels: bits above the surprisal",
        f"{over:.1f} of {bits:,.0f}",
        f"{0.001 * bits + 64:,.0f}",
    )
    code = prequential_codelength(X / 16, y, model=SoftmaxRegression(strength=1e-3, tol=1e-4))
    told(
        "digits, prequential code: times shorter; control task",
        f"{code.compression:.2f}; {code.control_compression:.2f}",
        "",
    )


def mnist() -> Iterator[dict[str, float]]:
    """Held-out figures of the defaults; then, for three draws of flipped labels, what ranks them best."""
    X, truth, X_test, y_test = data.mnist()
    P = SoftmaxRegression().fit(X, truth).predict_proba(X_test)
    found = audit(P, y_test, range(10))
    t = found.calibration
    told("MNIST, defaults: held-out log loss in nats", str(t.log_loss), "")
    told("MNIST, defaults: accuracy", str(t.accuracy), "")
    told("MNIST, defaults: calibration gap in nats", f"{t.gap.value:.5f} ({t.gap.low:.5f} to {t.gap.high:.5f})", "")
    told(
        "MNIST, defaults: debiased squared error; by chance up to",
        f"{t.check.error:.5f}; {t.check.error_by_chance:.5f}",
        "",
    )
    told("MNIST, defaults: p of the exact test", f"{t.check.p_value:.3f}", "")
    for seed in range(3):
        random = np.random.default_rng(seed)
        y = truth.copy()
        flipped = random.choice(len(y), len(y) // 100, replace=False)
        y[flipped] = (y[flipped] + random.integers(1, 10, len(flipped))) % 10
        P = np.empty((len(y), 10))
        for rest, inside in StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y):
            P[inside] = SoftmaxRegression(strength=1.7e-4).fit(X[rest], y[rest]).predict_proba(X[inside])
        yield ranked(P, y, y != truth)


def ranked(P: np.ndarray, y: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Average precision of each way to put suspicious rows first."""
    found = label_audit(P, y)
    ours = np.empty(len(y))
    ours[found.order] = -np.arange(len(y))
    scores = {
        "suspicion": ours,
        "surprisal": found.surprisal,
        "surprisal minus entropy": found.surprisal - entropy(P),
        "margin": found.margin,
    }
    if importlib.util.find_spec("cleanlab"):
        from cleanlab.rank import get_label_quality_scores

        for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
            scores[f"cleanlab {method}"] = -get_label_quality_scores(y, P, method=method)
    return {name: float(average_precision_score(wrong, score)) for name, score in scores.items()}


def main() -> None:
    print("What was measured, and the bar:")
    consistency()
    repair()
    conformal()
    code_lengths()
    try:
        rounds = list(mnist())
    except data.Missing as error:
        print(f"  MNIST is left out: {error}")
        return
    for name in rounds[0]:
        figures = ", ".join(f"{one[name]:.3f}" for one in rounds)
        told(f"MNIST, 1% of labels flipped: average precision, {name}", figures, "0.74" if name == "suspicion" else "")


if __name__ == "__main__":
    main()
