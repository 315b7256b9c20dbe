"""Does this message belong in the spam folder? A threshold from costs, and what a message is made of.

    python examples/spam.py sms-spam.tsv
    python examples/spam.py sms-spam.tsv --lost 20 --message "You have won a free ticket, text WIN to 80086"

The file has a label (ham or spam), a tab and a message in each line. docs/examples/spam.md explains the output.
"""

from __future__ import annotations

import argparse
import re
import textwrap

import numpy as np
import pyarrow as pa

from softreg import Calibrator, TableClassifier, TableError, WordExplanation, audit, explain_words, read_table
from softreg.probability import operating_point, score_interval, wilson_interval
from softreg.splits import stratified_folds

HAM, SPAM = 0, 1
FOLDS = 5
PLACEHOLDER = re.compile("&lt;[#A-Z]*&gt;")


def main() -> None:
    options = parse_arguments()
    everything = read_table(options.file, header=False).rename_columns(["label", "message"])
    table = distinct_messages(everything)
    y = (np.array(table["label"]) == "spam").astype(int)
    print(f"{everything.num_rows:,} messages; {everything.num_rows - len(y)} repeat the letters of an earlier one")
    print(f"{len(y):,} messages remain, {y.sum()} of them spam; each is held out once, in one of {FOLDS} folds")

    P = held_out_probabilities(table, y)
    recalibrated = np.zeros_like(P)
    for train, test in stratified_folds(y, FOLDS, seed=1):
        recalibrated[test] = Calibrator().fit(P[train], y[train]).predict_proba(P[test])
    print_quality({"probabilities": P, "recalibrated": recalibrated}, y)

    cost = np.array([[0, options.lost], [options.read, 0]])  # cost[label, decision]
    threshold = operating_point(P, y, cost).threshold
    print(f"{'no message':28}{'':53}{1000 * options.read * y.mean():.0f}")
    print_decisions("probabilities", P, y, cost, thresholds=[0.5, threshold])
    print_decisions("recalibrated", recalibrated, y, cost, thresholds=[threshold])
    chosen = costs(P, cost, threshold)
    nothing = np.tile(1000 * cost[:, HAM], (len(y), 1))
    print(f"cost of 1,000 messages, compared with probabilities > {threshold:.1%}:")
    for name, other in (
        ("no message", nothing),
        ("probabilities > 50.0%", costs(P, cost, 0.5)),
        (f"recalibrated > {threshold:.1%}", costs(recalibrated, cost, threshold)),
    ):
        more = score_interval(other - chosen, P, y)
        print(f"  {name:26}{more.value:+.0f} ({more.low:+.0f} to {more.high:+.0f})")

    print_mistakes(table, P[:, SPAM], y, threshold)
    if options.message:
        row = pa.table({"message": [options.message]})
        model = TableClassifier("label").fit(table)
        print(f"\nYour message is spam with a probability of {model.predict_proba(row)[0, SPAM]:.2%}:")
        print(words_of(explain_words(model, row)[0]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", help="the messages: a label, a tab and a message in each line")
    parser.add_argument("--lost", type=float, default=100, help="cost of a real message in the spam folder")
    parser.add_argument("--read", type=float, default=1, help="cost of a spam that is read")
    parser.add_argument("--message", help="a message of your own")
    return parser.parse_args()


def distinct_messages(table: pa.Table) -> pa.Table:
    """Return the first message of each sequence of letters, with a number in place of each placeholder.

    The collectors replaced numbers in many real messages by `&lt;#&gt;` and the like, and in no spam. Copies differ in
    numbers, punctuation and case at most.
    """
    messages = [PLACEHOLDER.sub("0", message) for message in table["message"].to_pylist()]
    first: dict[str, int] = {}
    for row, message in enumerate(messages):
        first.setdefault(" ".join(re.findall(r"[^\W\d_]+", message.lower())), row)
    return table.set_column(1, "message", [messages]).take(list(first.values()))


def held_out_probabilities(table: pa.Table, y: np.ndarray) -> np.ndarray:
    """Return the probabilities of each message by a model that was trained without its fold."""
    P = np.zeros((len(y), 2))
    for train, test in stratified_folds(y, FOLDS, seed=0):
        P[test] = TableClassifier("label").fit(table.take(train)).predict_proba(table.take(test))
    return P


def print_quality(probabilities: dict[str, np.ndarray], y: np.ndarray) -> None:
    print(f"\n{'held out':15}{'log loss (nats)':29}{'AUC':26}{'calibration':14}spam expected")
    evaluations = {name: audit(P, y, ["ham", "spam"]) for name, P in probabilities.items()}
    for name, evaluation in evaluations.items():
        loss, auc, check = evaluation.calibration.log_loss, evaluation.auc, evaluation.calibration.check
        p = f"p {'≤' if check.p_value <= 1 / (check.draws + 1) else '='} {check.p_value:.4f}"
        print(f"{name:15}{loss!s:29}{auc!s:26}{p:14}{evaluation.P[:, SPAM].sum():.0f} of {y.sum()}")
    print(f"{'class rates':15}{evaluation.label_entropy:.4g}")
    before, after = probabilities.values()
    change = score_interval(np.log(before) - np.log(after), before, y)
    between = f"{change.low:.5f} to {change.high:.5f}"
    print(f"the recalibration changes the log loss by {change.value:.5f} ({between}) nats\n")
    print(f"{'spam folder':28}{'real messages in it':25}{'spam in it':28}cost of 1,000 messages")


def costs(P: np.ndarray, cost: np.ndarray, threshold: float) -> np.ndarray:
    """Return the cost of 1,000 messages like each one, for each label it may have: an array (n, 2)."""
    return 1000 * cost[:, (P[:, SPAM] > threshold).astype(int)].T


def print_decisions(name: str, P: np.ndarray, y: np.ndarray, cost: np.ndarray, thresholds: list[float]) -> None:
    for threshold in thresholds:
        moved = (P[:, SPAM] > threshold).astype(int)
        shares = [wilson_interval(moved[y == label].sum(), (y == label).sum()) for label in (HAM, SPAM)]
        paid = score_interval(costs(P, cost, threshold), P, y, bounds=(1000 * cost.min(), 1000 * cost.max()))
        cells = [f"{s.value:.2%} ({s.low:.2%} to {s.high:.2%})" for s in shares]
        money = f"{paid.value:.0f} ({paid.low:.0f} to {paid.high:.0f})"
        print(f"{f'{name} > {threshold:.1%}':28}{cells[0]:25}{cells[1]:28}{money}")


def print_mistakes(table: pa.Table, probability: np.ndarray, y: np.ndarray, threshold: float) -> None:
    """Print the most surprising mistake of each kind with the words that made it, of a model trained without it."""
    lost = np.flatnonzero((probability > threshold) & (y == HAM))
    missed = np.flatnonzero((probability <= threshold) & (y == SPAM))
    for title, rows in (("Real messages in the spam folder", lost), ("Spam that is read", missed)):
        print(f"\n{title}: {len(rows)}", end="")
        if len(rows):
            row = rows[np.argmax(np.abs(probability[rows] - y[rows]))]
            others = np.delete(np.arange(len(y)), row)
            why = explain_words(TableClassifier("label").fit(table.take(others)), table.take([row]))[0]
            print(f". The least expected one, spam with a probability of {probability[row]:.2%}:\n{words_of(why)}")


def words_of(why: WordExplanation, least: float = 0.2) -> str:
    """Return a message with the contributions of its words to the log-odds of spam that are not small."""
    odds = why.log_odds("spam").tolist()
    words = [f"{word}[{x:+.1f}]" if abs(x) >= least else word for word, x in zip(why.words, odds, strict=True)]
    text = f"{why.rest_log_odds('spam'):+.1f} without the words | " + " ".join(words)
    return textwrap.fill(text, 110, initial_indent="  ", subsequent_indent="  ", break_long_words=False)


if __name__ == "__main__":
    try:
        main()
    except TableError as error:
        raise SystemExit(str(error)) from None
