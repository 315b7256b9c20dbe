"""Find the columns of probabilities in a file of predictions: such as `prob_yes`, or one column for two classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import punctuation, whitespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.canonical_values import names_by_kind
from softreg.cli.console.command_errors import CommandError
from softreg.cli.data.class_probabilities import SUM_TOLERANCE
from softreg.cli.options.column_arguments import select_columns
from softreg.tables.columns.table_errors import quote, quote_list
from softreg.typing import Float64Array

POSITIVE = (("0", "1"), ("-1", "1"), ("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("negative", "positive"))
"""Pairs of labels, in lower case, of which the second is the positive one."""
NEGATION = "not "
"""Prefix of the name of the other class where only one label occurs."""
BINARY = 2
"""Classes for which one column of probabilities suffices."""
NOT_SCORES = ("prediction", "predicted", "row", "index", "id")
"""Columns, in lower case, that are no scores unless --score names them."""


@dataclass(frozen=True)
class _Affixes:
    """Text before and behind the labels in the names of the columns of probabilities."""

    prefix: str
    suffix: str

    def fits(self, name: str) -> bool:
        """Return whether the name of a column has both, and a label between them."""
        longer = len(name) > len(self.prefix) + len(self.suffix)
        return longer and name.startswith(self.prefix) and name.endswith(self.suffix)

    def label(self, name: str) -> str:
        """Return the label in the name of a column."""
        return name[len(self.prefix) : len(name) - len(self.suffix)]


def class_columns(
    table: pa.Table, target: str, occurring: Sequence[str], score: str | None, positive: str | None
) -> tuple[pa.Table, str]:
    """Return the table with a column of probabilities for each class, under the name of the class.

    Where each label has a column already, the table is unchanged. Otherwise the columns are those with a common text
    before or behind the label (`prob_0`, `prob_1`); or, for two labels, one column contains the probability of one of
    them: `score`, or the only column of numbers from 0 to 1.

    Parameters
    ----------
    table : pyarrow.Table
        Labels and probabilities.
    target : str
        Column of labels.
    occurring : sequence of str
        Labels that occur.
    score : str or None
        Column of the probability of one of two classes.
    positive : str or None
        Label of that class; by default the label in the name of the column, or the usual positive one.

    Returns
    -------
    table : pyarrow.Table
        The table with its columns renamed or added.
    note : str
        How columns were interpreted; empty where nothing changed.

    Raises
    ------
    CommandError
        If `score` or `positive` does not exist or is ambiguous.
    """
    if score is not None:
        column = select_columns((score,), table.column_names, "--score")[0]
        return _from_score(table, target, occurring, column, positive)
    names = [name for name in table.column_names if name != target]
    known = {name for group in (names, *names_by_kind(names)) for name in group}
    if all(label in known for label in occurring) and positive is None:
        return table, ""
    shares = [name for name in names if _shares(table.column(name)) is not None]
    if positive is None and (affixes := _find_affixes(table, shares, occurring)):
        new = {name: affixes.label(name) for name in shares if affixes.fits(name)}
        clash = [name for name in new.values() if name in table.column_names]
        table = table.drop_columns(clash) if clash and target not in clash else table
        table = table.rename_columns([new.get(name, name) for name in table.column_names])
        return (
            table,
            f"Columns {quote_list(new)} are read as the probabilities of the classes {quote_list(new.values())}.",
        )
    scores = [name for name in shares if name.lower() not in NOT_SCORES]
    if len(occurring) <= BINARY and len(scores) > 1:
        scores = [name for name in scores if not _has_only_0_and_1(table.column(name))] or scores
    if len(occurring) <= BINARY and len(scores) == 1:
        return _from_score(table, target, occurring, scores[0], positive)
    if positive is not None:
        raise CommandError(
            f"--positive {positive}: name the column of its probability, too: --score COLUMN. The columns of numbers "
            f"from 0 to 1 are {quote_list(scores) if scores else 'none'}."
        )
    return table, ""


def _from_score(
    table: pa.Table, target: str, occurring: Sequence[str], score: str, positive: str | None
) -> tuple[pa.Table, str]:
    """Return the table with the probabilities of two classes computed from those of one, and a note."""
    p = _shares(table.column(score))
    if p is None or score == target:
        raise CommandError(f"--score {score}: expected a column of probabilities, numbers from 0 to 1 in every row.")
    if len(occurring) > BINARY:
        raise CommandError(
            f"--score {score} is the probability of one of two classes, but column {quote(target)} holds "
            f"{len(occurring):,} labels: {quote_list(occurring)}. Each of them needs a column of its own."
        )
    label, other = _label_pair(occurring, positive or named_label(score, occurring), target)
    columns = [name for name in table.column_names if name in (score, target) or name not in (label, other)]
    table = table.select([name for name in columns if name != score])
    for name in sorted((label, other)) if other in occurring else (other, label):
        table = table.append_column(name, pa.array(p if name == label else 1 - p))
    note = f"Column {quote(score)} is read as the probability of the class {quote(label)}"
    return table, f"{note}; --positive names another." if positive is None else f"{note}."


def named_label(name: str, labels: Sequence[str]) -> str | None:
    """Return the label that the name of a column is, or begins or ends with as a word.

    Parameters
    ----------
    name : str
        Name of a column.
    labels : sequence of str
        The labels.

    Returns
    -------
    str or None
        The label; None where none fits, or several do.

    Examples
    --------
    >>> named_label("p_no", ["no", "yes"]), named_label("P(Yes)", ["no", "yes"]), named_label("note", ["no", "yes"])
    ('no', 'yes', None)
    """
    if name in labels:
        return name
    folded = name.casefold().strip(punctuation + whitespace)
    matches = [label for label in labels if (word := re.escape(label.strip().casefold()))
             and (re.match(rf"{word}(?:[\W_]|$)", folded) or re.search(rf"(?:^|[\W_]){word}$", folded))]  # fmt: skip
    return matches[0] if len(matches) == 1 else None


def _label_pair(occurring: Sequence[str], positive: str | None, target: str) -> tuple[str, str]:
    """Return the label whose probability a score is, and the other label."""
    if positive is not None:
        others = [label for label in occurring if label != positive]
        if len(others) == BINARY:
            raise CommandError(
                f"--positive {positive}: column {quote(target)} holds the labels {quote_list(occurring)}."
            )
        return positive, others[0] if others else f"{NEGATION}{positive}"
    by_word = {label.strip().lower(): label for label in occurring}
    for no, yes in POSITIVE:
        if by_word.keys() == {no, yes}:
            return by_word[yes], by_word[no]
    raise CommandError(
        f"One column holds probabilities, but of which label? Column {quote(target)} holds "
        f"{quote_list(occurring)}: add "
        f"--positive {occurring[-1]}."
    )


def _find_affixes(table: pa.Table, shares: Sequence[str], occurring: Sequence[str]) -> _Affixes | None:
    """Return the text around the labels in the names of their columns; None where there is no common one."""
    candidates = []
    for name in shares:
        for at in [place for place in range(len(name)) if name.startswith(occurring[0], place)]:
            affixes = _Affixes(name[:at], name[at + len(occurring[0]) :])
            names = [f"{affixes.prefix}{label}{affixes.suffix}" for label in occurring]
            if (affixes.prefix or affixes.suffix) and all(column in shares for column in names):
                candidates.append(affixes)
    for affixes in dict.fromkeys(candidates):
        if _sums_to_one(table, [name for name in shares if affixes.fits(name)]):
            return affixes
    return None


def _sums_to_one(table: pa.Table, names: Sequence[str]) -> bool:
    """Return whether two or more columns sum to about 1 in every row."""
    total = np.zeros(table.num_rows)
    for name in names:
        p = _shares(table.column(name))
        total += 0 if p is None else p
    return len(names) > 1 and bool((np.abs(total - 1) <= SUM_TOLERANCE).all())


def _shares(column: pa.ChunkedArray) -> Float64Array | None:
    """Return a column as numbers from 0 to 1; None where a value is missing or is no such number."""
    if pa.types.is_boolean(column.type):
        return None
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return values if ((values >= 0) & (values <= 1)).all() else None


def _has_only_0_and_1(column: pa.ChunkedArray) -> bool:
    """Return whether all values are 0 or 1, as those of decisions are."""
    values = _shares(column)
    return values is not None and bool(np.isin(values, (0, 1)).all())
