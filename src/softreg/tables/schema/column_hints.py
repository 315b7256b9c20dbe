"""Hints on columns whose levels differ only in blanks or case, or that look like subject identifiers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.arrow_numpy import to_int64
from softreg.tables.columns.table_errors import pluralize, quote
from softreg.tables.schema.kinds import FEW_LEVELS
from softreg.typing import Codes, Float64Array, Int64Array

MAX_SETS_SHOWN = 3
"""Most sets of similar levels that a message names."""
MIN_SUBJECTS = 5
"""Distinct values that a column of subjects has at least."""
ID_NAME = re.compile(r"(^|[\W_])(?i:id|uuid|guid|identifier)$|[a-z](Id|ID)$|^(?i:index|row_?id|rownames)$")
"""Names of columns of identifiers."""
_SUBJECT_NAME = re.compile(
    r"(^|[\W_])(?i:subject|subj|patient|participant|person|respondent|donor|user|household|customer|client|pupil|"
    r"student|animal)s?([\W_]*(?i:id|no|nr|num|number|code|key))?$"
)


_TIME_NAME = re.compile(r"^(?i:t|trend|time|period|year|quarter|month|week|day|hour|date|wave|visit|step)$")


def similar_levels_note(name: str, levels: pa.Array, counts: Int64Array, what: str = "levels") -> str:
    """Return a sentence on levels that differ only in blanks, case or Unicode form; empty without any.

    Returns
    -------
    str
        The sentence.

    Examples
    --------
    >>> levels, rows = pa.array(["Yes", "yes ", "no"]), np.array([12, 3, 20])
    >>> print(similar_levels_note("paid", levels, rows))  # doctest: +ELLIPSIS
    column 'paid' has levels that differ only in blanks, case or Unicode form: 'Yes' (12 rows) and 'yes ' ...
    """
    present = np.flatnonzero(counts > 0)
    folded = pc.utf8_lower(pc.utf8_normalize(levels, "NFKC"))
    folded = pc.replace_substring_regex(pc.utf8_trim_whitespace(folded), r"\s+", " ").dictionary_encode()
    keys = to_int64(folded.indices)[present]
    _, inverse, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    if not (sizes > 1).any():
        return ""
    rows = np.bincount(inverse, weights=counts[present]) * (sizes > 1)
    count, sets = int((sizes > 1).sum()), []
    for key in np.argsort(-rows, kind="stable")[: min(count, MAX_SETS_SHOWN)].tolist():
        members = present[inverse == key]
        members = members[np.argsort(-counts[members], kind="stable")][:4]
        sets.append(" and ".join(f"{quote(levels[int(k)])} ({pluralize(int(counts[k]), 'row')})" for k in members))
    examples, others = (
        "; ".join(sets),
        f"; and {count - MAX_SETS_SHOWN:,} more such sets" if count > MAX_SETS_SHOWN else "",
    )
    return (
        f"column {quote(name)} has {what} that differ only in blanks, case or Unicode form: {examples}{others}; "
        "they are kept apart"
    )


def subject_hint(
    name: str, codes: Codes | Float64Array, different: int, *, examples: Sequence[str] = (), use: str
) -> str:
    """Return a hint at groups for a column that looks like subject identifiers; empty for others.

    Values look like subjects if the column is named so, or if equal values are consecutive and are counted from 0 or 1,
    or are codes with digits.

    Parameters
    ----------
    name : str
        Column.
    codes : array (n,)
        Values of the rows that have one, or their codes.
    different : int
        Number of distinct values.
    examples : sequence of str
        Some of the values, where they are text.
    use : str
        What the column is used as, for the message.

    Returns
    -------
    str
        The hint.
    """
    n = len(codes)
    if different < MIN_SUBJECTS or 2 * different > n:
        return ""
    coded = all(any(sign.isdecimal() for sign in text) for text in examples)  # true of numbers
    has_subject_name = bool(_SUBJECT_NAME.search(name) or ID_NAME.search(name)) and (coded or different > FEW_LEVELS)
    counts_time = bool(_TIME_NAME.match(name))
    in_runs = (
        different > FEW_LEVELS and coded and not counts_time and _values_in_runs(codes, different, counted=not examples)
    )
    if not has_subject_name and not in_runs:
        return ""
    reason = "its name says so" if has_subject_name else "equal values stand in consecutive rows"
    return (
        f"column {quote(name)} may name the subjects that rows belong to ({reason}, and {n:,} rows have {different:,} "
        f"different values); it is used as a {use}. Where rows of one value depend on each other, hold them out as a "
        f"whole: --groups {quote(name)} (groups={quote(name)} in Python), which also makes it no feature"
    )


def _values_in_runs(codes: Codes | Float64Array, different: int, *, counted: bool) -> bool:
    """Return True if equal values are consecutive; numbers must count the runs from 0 or 1."""
    if counted and not (codes[0] in (0, 1) and codes[-1] == codes[0] + different - 1):
        return False
    steps = codes[1:] - codes[:-1]
    if counted:
        return bool(((steps == 0) | (steps == 1)).all())
    return int((steps != 0).sum()) == different - 1
