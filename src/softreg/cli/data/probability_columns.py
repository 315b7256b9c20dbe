"""Files of predictions of other programs: columns such as `prob_yes`, or one column of scores for two classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import punctuation, whitespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.cli.options.column_arguments import select_columns
from softreg.tables.columns.errors import listed, shown
from softreg.value_keys import names_by_kind

POSITIVE = (("0", "1"), ("-1", "1"), ("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("negative", "positive"))
"""Pairs of labels, in lower case, of which the second is the one that a score is for."""
NEGATION = "not "
TOLERANCE = 0.02
"""How far sums of probabilities may be from 1, as they may have been written with few digits."""
BINARY = 2
OTHERS = ("prediction", "predicted", "row", "index", "id")
"""Columns, in lower case, that are no scores unless they are named."""


def class_columns(
    table: pa.Table, target: str, occur: Sequence[str], score: str | None, positive: str | None
) -> tuple[pa.Table, str]:
    """The table with a column of probabilities for each class, named as it, and a sentence on what was taken for what.

    `occur` are the labels that occur. Where each has a column already, nothing changes and the sentence is empty.
    Otherwise the columns of the labels are those that have a common text before or behind the label (`prob_0`,
    `prob_1`), or two labels have one column of the probability of one of them: `score`, or the only column of numbers
    from 0 to 1; of `positive`, or the label that is usually meant.

    Raises `CommandError` where `score` or `positive` is not there or would be a guess.
    """
    if score is not None:
        return _from_score(table, target, occur, select_columns((score,), table.column_names, "--score")[0], positive)
    names = [name for name in table.column_names if name != target]
    known = {one for some in (names, *names_by_kind(names)) for one in some}
    if all(label in known for label in occur) and positive is None:
        return table, ""
    shares = [name for name in names if _share(table.column(name)) is not None]
    if positive is None and (affix := _affix(table, shares, occur)):
        before, behind = affix
        new = {name: name[len(before) : len(name) - len(behind)] for name in shares if _has(name, before, behind)}
        clash = [name for name in new.values() if name in table.column_names]
        table = table.drop_columns(clash) if clash and target not in clash else table
        table = table.rename_columns([new.get(name, name) for name in table.column_names])
        return table, f"Columns {listed(new)} are read as the probabilities of the classes {listed(new.values())}."
    scores = [name for name in shares if name.lower() not in OTHERS]
    if len(occur) <= BINARY and len(scores) > 1:
        scores = [name for name in scores if not _whole(table.column(name))] or scores
    if len(occur) <= BINARY and len(scores) == 1:
        return _from_score(table, target, occur, scores[0], positive)
    if positive is not None:
        raise CommandError(
            f"--positive {positive}: name the column of its probability, too: --score COLUMN. The columns of numbers "
            f"from 0 to 1 are {listed(scores) if scores else 'none'}."
        )
    return table, ""


def _from_score(
    table: pa.Table, target: str, occur: Sequence[str], score: str, positive: str | None
) -> tuple[pa.Table, str]:
    """The table with the probabilities of two classes from those of one."""
    p = _share(table.column(score))
    if p is None or score == target:
        raise CommandError(f"--score {score}: expected a column of probabilities, numbers from 0 to 1 in every row.")
    if len(occur) > BINARY:
        raise CommandError(
            f"--score {score} is the probability of one of two classes, but column {shown(target)} holds "
            f"{len(occur):,} labels: {listed(occur)}. Each of them needs a column of its own."
        )
    one, other = _pair(occur, positive or named_label(score, occur), target)
    columns = [name for name in table.column_names if name in (score, target) or name not in (one, other)]
    table = table.select([name for name in columns if name != score])
    for name in sorted((one, other)) if other in occur else (other, one):
        table = table.append_column(name, pa.array(p if name == one else 1 - p))
    said = f"Column {shown(score)} is read as the probability of the class {shown(one)}"
    return table, f"{said}; --positive names another." if positive is None else f"{said}."


def named_label(name: str, labels: Sequence[str]) -> str | None:
    """The label that the name of a column is, or begins or ends with as a word of its own; None where none is, or two.

    >>> named_label("p_no", ["no", "yes"]), named_label("P(Yes)", ["no", "yes"]), named_label("note", ["no", "yes"])
    ('no', 'yes', None)
    """
    if name in labels:
        return name
    folded = name.casefold().strip(punctuation + whitespace)
    found = [label for label in labels if (word := re.escape(label.strip().casefold()))
             and (re.match(rf"{word}(?:[\W_]|$)", folded) or re.search(rf"(?:^|[\W_]){word}$", folded))]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _pair(occur: Sequence[str], positive: str | None, target: str) -> tuple[str, str]:
    """The label that a score is for, and the other."""
    if positive is not None:
        others = [label for label in occur if label != positive]
        if len(others) == BINARY:
            raise CommandError(f"--positive {positive}: column {shown(target)} holds the labels {listed(occur)}.")
        return positive, others[0] if others else f"{NEGATION}{positive}"
    by_word = {label.strip().lower(): label for label in occur}
    for no, yes in POSITIVE:
        if by_word.keys() == {no, yes}:
            return by_word[yes], by_word[no]
    raise CommandError(
        f"One column holds probabilities, of which label? Column {shown(target)} holds {listed(occur)}: say "
        f"--positive {occur[-1]}."
    )


def _affix(table: pa.Table, shares: Sequence[str], occur: Sequence[str]) -> tuple[str, str] | None:
    """The text before and behind each label in the names of its column; None where no text gives all a column."""
    found = []
    for name in shares:
        for at in [place for place in range(len(name)) if name.startswith(occur[0], place)]:
            before, behind = name[:at], name[at + len(occur[0]) :]
            if (before or behind) and all(f"{before}{label}{behind}" in shares for label in occur):
                found.append((before, behind))
    found = [one for one in dict.fromkeys(found) if _sums_to_one(table, [n for n in shares if _has(n, *one)])]
    return found[0] if found else None


def _has(name: str, before: str, behind: str) -> bool:
    return name.startswith(before) and name.endswith(behind) and len(name) > len(before) + len(behind)


def _sums_to_one(table: pa.Table, names: Sequence[str]) -> bool:
    total = np.zeros(table.num_rows)
    for name in names:
        p = _share(table.column(name))
        total += 0 if p is None else p
    return len(names) > 1 and bool((np.abs(total - 1) <= TOLERANCE).all())


def _share(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """A column as numbers from 0 to 1; None where a value is none or is missing."""
    if pa.types.is_boolean(column.type):
        return None
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return values if ((values >= 0) & (values <= 1)).all() else None


def _whole(column: pa.ChunkedArray) -> bool:
    """Whether all values are 0 or 1, as those of decisions are."""
    values = _share(column)
    return values is not None and bool(np.isin(values, (0, 1)).all())
