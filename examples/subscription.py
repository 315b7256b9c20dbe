"""Will this customer subscribe? What the duration of a call gives away, a test on later calls, and whom to call.

    python examples/subscription.py bank-full.csv
    python examples/subscription.py bank-full.csv --call 8 --subscription 50

The file is that of the Bank Marketing data of UCI. docs/examples/subscription.md explains the output.
"""

from __future__ import annotations

import argparse
import textwrap
import warnings

import numpy as np
import pyarrow as pa

from softreg import Audit, TableClassifier, TableError, TableWarning, audit, read_table, split_rows
from softreg.probability import (
    Interval,
    bootstrap_means,
    cross_entropy,
    interval,
    operating_point,
    score_interval,
    wilson_interval,
)

YES = 1
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
COLUMNS = ["age", "job", "housing", "contact", "month", "poutcome"]


def main() -> None:
    options = parse_arguments()
    table = read_table(options.file)
    y = (np.array(table["y"]) == "yes").astype(int)
    print(f"{len(y):,} calls, {y.mean():.1%} with a subscription")

    train, test = split_rows(y, test_size=0.2, seed=0)
    print(f"\nA random fifth of the calls held out{'log loss (nats)':>22}{'AUC':>14}")
    models = {"with duration": fit(table, train), "without duration": fit(table, train, drop="duration")}
    results = {name: evaluate(model, table, y, test) for name, model in models.items()}
    for name, result in results.items():
        print_scores(name, result)
    print(f"  {'class rates':32}{results['with duration'].label_entropy:.4f}")
    surprisal = [results[name].surprisal for name in ("without duration", "with duration")]
    lost = surprisal[0] - surprisal[1]
    print(f"  duration gains {text(interval(lost.mean(), bootstrap_means(lost)))} nats, after the call")

    order = np.arange(len(y))
    first, last = order[: int(0.8 * len(y))], order[int(0.8 * len(y)) :]
    print("\nThe last fifth of the calls held out, in the order of the file (by date)")
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", TableWarning)
        later = evaluate(fit(table, first, drop="duration"), table, y, last)
    print_scores("without duration", later)
    print(f"  {'rate of the first calls':32}{cross_entropy(rates(y[last]), rates(y[first])):.4f}")
    print(f"  {'rate of these calls':32}{later.label_entropy:.4f}")
    print(f"  predicted rate {later.P[:, YES].mean():.1%}, observed {y[last].mean():.1%}; before {y[first].mean():.1%}")
    print(*(textwrap.indent(textwrap.fill(f"Note: {note.message}", 108), "  ") for note in notes), sep="\n")

    model, result = models["without duration"], results["without duration"]
    cost = np.array([[0, options.call], [0, options.call - options.subscription]])  # cost[label, decision to call]
    print_gains(result, y[test], cost)
    print_first_customers(model, table, train, test, result.P[:, YES])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", help="the calls, with a column y of yes and no")
    parser.add_argument("--call", type=float, default=5, help="cost of a call")
    parser.add_argument("--subscription", type=float, default=60, help="gain by a subscription, the call not deducted")
    return parser.parse_args()


def fit(table: pa.Table, rows: np.ndarray, drop: str | tuple[()] = ()) -> TableClassifier:
    return TableClassifier("y", drop=drop).fit(table.take(rows))


def evaluate(model: TableClassifier, table: pa.Table, y: np.ndarray, rows: np.ndarray) -> Audit:
    return audit(model.predict_proba(table.take(rows)), y[rows], ["no", "yes"])


def rates(y: np.ndarray) -> np.ndarray:
    return np.bincount(y, minlength=2) / len(y)


def text(x: Interval) -> str:
    return f"{x.value:.4f} ({x.low:.4f} to {x.high:.4f})"


def print_scores(name: str, result: Audit) -> None:
    print(f"  {name:32}{text(result.calibration.log_loss)}  {text(result.auc)}")


def print_gains(result: Audit, y: np.ndarray, cost: np.ndarray) -> None:
    """Print what calls to the customers of the largest probabilities find and gain."""
    p, n = result.P[:, YES], len(y)
    point = operating_point(result.P, y, cost)
    order, worthwhile = np.argsort(-p, kind="stable"), int(point.decided[YES])
    print(f"\nWhom to call, of {n:,} customers held out: those of the largest probabilities")
    print("  calls        probability  subscribe               of all subscriptions    gain")
    numbers = sorted({round(share * n) for share in SHARES} | {worthwhile})
    gains = {}  # of all customers, (n, 2): if the answer of the customer is no, or yes
    for calls in numbers:
        gains[calls] = -n * cost[:, np.isin(np.arange(n), order[:calls]).astype(int)].T
        hits = y[order[:calls]].sum()
        found = percent(wilson_interval(hits, y.sum())) if calls < n else "100%"
        gain = score_interval(gains[calls], result.P, y, bounds=(-n * cost.max(), -n * cost.min()))
        line = (
            f"  {calls:5,} {calls / n:5.0%}{' *' if calls == worthwhile else '  '} above {p[order[calls - 1]]:5.1%}  "
        )
        print(f"{line}{percent(wilson_interval(hits, calls)):24}{found:24}{amount(gain)}")
    print(f"  * all above {point.threshold:.1%}, whose expected gain is positive; the model expects ", end="")
    print(f"{-n * point.expected:,.0f} together")
    print("  Gain compared with that of *, by calls:")
    for calls in numbers:
        if calls != worthwhile:
            print(f"  {calls:5,}  {amount(score_interval(gains[calls] - gains[worthwhile], result.P, y))}")


def amount(x: Interval) -> str:
    return f"{x.value:,.0f} ({x.low:,.0f} to {x.high:,.0f})"


def percent(x: Interval) -> str:
    return f"{x.value:.1%} ({x.low:.1%} to {x.high:.1%})"


def print_first_customers(
    model: TableClassifier, table: pa.Table, train: np.ndarray, test: np.ndarray, p: np.ndarray
) -> None:
    order = np.argsort(-p, kind="stable")
    chosen = order[[0, 1, 2, len(order) // 5, len(order) // 2]]
    rows = table.take(test[chosen])
    low, high = model.keep_intervals(table.take(train)).predict_intervals(rows)
    print("\nProbabilities of customers by rank, with 95% intervals")
    for i, customer in enumerate(rows.select(COLUMNS).to_pylist()):
        interval = percent(Interval(p[chosen[i]], low[i, YES], high[i, YES]))
        rank = f"{np.flatnonzero(order == chosen[i])[0] + 1:,}"
        print(f"  {rank:>5}  {interval:24}{', '.join(f'{name} {value}' for name, value in customer.items())}")


if __name__ == "__main__":
    try:
        main()
    except TableError as error:
        raise SystemExit(str(error)) from None
