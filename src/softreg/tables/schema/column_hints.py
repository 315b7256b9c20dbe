"""Hints on the levels of a column: those that differ in blanks or case only, and those that look like subjects."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.arrow_numpy import to_int64
from softreg.tables.columns.errors import pluralize, quote
from softreg.tables.schema.kinds import FEW_LEVELS
from softreg.typing import Codes, Float64Array, Int64Array

MAX_SETS_SHOWN = 3
"""Sets of levels that differ in blanks or case only which a message names."""
MIN_SUBJECTS = 5
"""Distinct values from which on a column may name subjects."""
ID_NAME = re.compile(r"(^|[\W_])(?i:id|uuid|guid|identifier)$|[a-z](Id|ID)$|^(?i:index|row_?id|rownames)$")
_SUBJECT_NAME = re.compile(
    r"(^|[\W_])(?i:subject|subj|patient|participant|person|respondent|donor|user|household|customer|client|pupil|"
    r"student|animal)s?([\W_]*(?i:id|no|nr|num|number|code|key))?$"
)


_TIME_NAME = re.compile(r"^(?i:t|trend|time|period|year|quarter|month|week|day|hour|date|wave|visit|step)$")


def similar_levels_note(name: str, levels: pa.Array, counts: Int64Array, what: str = "levels") -> str:
    """Return a sentence on levels that differ only in blanks, case or Unicode form; "" where there are none.

    Example:
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
    some, more = "; ".join(sets), f"; and {count - MAX_SETS_SHOWN:,} more such sets" if count > MAX_SETS_SHOWN else ""
    return (
        f"column {quote(name)} has {what} that differ only in blanks, case or Unicode form: {some}{more}; "
        "they are kept apart"
    )


def subject_hint(
    name: str, codes: Codes | Float64Array, different: int, *, examples: Sequence[str] = (), use: str
) -> str:
    """Return a hint at groups for a column whose values repeat and look like subjects; "" where they do not.

    `codes` (n,) are the values of the rows that have one, or their codes, of which `different` are different;
    `examples` are some of them, where they are text; `use` says what the column is used as.

    They look like subjects where the column is named so, or where its values stand in runs, and are counted from 0 or 1
    or are codes with digits.
    """
    n = len(codes)
    if different < MIN_SUBJECTS or 2 * different > n:
        return ""
    coded = all(any(sign.isdecimal() for sign in text) for text in examples)  # true of numbers
    named = bool(_SUBJECT_NAME.search(name) or ID_NAME.search(name)) and (coded or different > FEW_LEVELS)
    counts_time = bool(_TIME_NAME.match(name))
    runs = (
        different > FEW_LEVELS and coded and not counts_time and _values_in_runs(codes, different, counted=not examples)
    )
    if not named and not runs:
        return ""
    why = "its name says so" if named else "equal values stand in consecutive rows"
    return (
        f"column {quote(name)} may name the subjects that rows belong to ({why}, and {n:,} rows have {different:,} "
        f"different values); it is used as a {use}. Where rows of one value depend on each other, hold them out as a "
        f"whole: --groups {quote(name)} (groups={quote(name)} in Python), which also makes it no feature"
    )


def _values_in_runs(codes: Codes | Float64Array, different: int, *, counted: bool) -> bool:
    """Whether equal values stand in consecutive rows; numbers must count the runs from 0 or 1."""
    if counted and not (codes[0] in (0, 1) and codes[-1] == codes[0] + different - 1):
        return False
    steps = codes[1:] - codes[:-1]
    if counted:
        return bool(((steps == 0) | (steps == 1)).all())
    return int((steps != 0).sum()) == different - 1
