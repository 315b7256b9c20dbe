"""Names of the header: the prefix, and members of the row by column."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from softreg.export.export_errors import ExportError
from softreg.export.program import Input, InputKind

LONGEST_MEMBER = 48
"""Characters of a member; C99 promises that the first 63 of a name count, and a number may follow."""
LONGEST_PREFIX = 32
"""Characters of the prefix, for the same reason."""
_RESERVED_LINES = """
alignas alignof and and_eq asm atomic_cancel atomic_commit atomic_noexcept auto bitand bitor bool break case catch
char char16_t char32_t char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
constinit continue contract_assert decltype default delete do double dynamic_cast else enum explicit export extern
false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq
private protected public reflexpr register reinterpret_cast requires restrict return short signed sizeof static
static_assert static_cast struct switch synchronized template this thread_local throw true try typedef typeid
typename typeof typeof_unqual union unsigned using virtual void volatile wchar_t while xor xor_eq
complex noreturn errno stdin stdout stderr environ linux unix i386 mips sparc sun near far pascal cdecl small
interface signals slots emit foreach
"""
RESERVED = frozenset(_RESERVED_LINES.split())
"""Keywords of C and C++, and lower-case macros of common compilers, systems and libraries."""
COUNT = "_count"
"""End of the member that holds the number of tags."""


def check_prefix(name: str) -> None:
    """Raise an error unless a text can begin all names of a header.

    Parameters
    ----------
    name : str
        Prefix.

    Raises
    ------
    ExportError
        If it is no lower-case name of C, or too long.

    Examples
    --------
    >>> check_prefix("churn")
    >>> check_prefix("my model")
    Traceback (most recent call last):
    ...
    softreg.export.export_errors.ExportError: name='my model' cannot begin names in C: expected a lower-case letter, \
then lower-case letters, digits and single underscores, at most 32 characters.
    """
    if not isinstance(name, str) or len(name) > LONGEST_PREFIX or not re.fullmatch(r"[a-z](_?[a-z0-9])*", name):
        raise ExportError(
            f"name={name!r} cannot begin names in C: expected a lower-case letter, then lower-case letters, digits and "
            f"single underscores, at most {LONGEST_PREFIX} characters."
        )


def member_names(inputs: Sequence[Input]) -> tuple[str, ...]:
    """Return the member of the row for each input.

    Accents are removed, letters written in lower case, and each run of other characters than ASCII letters and digits
    becomes one underscore; none is kept at the ends. A name that then begins with a digit gets `x_` in front, an empty
    one is `x`, and a reserved word gets an underscore at its end. Of equal names, the second gets `_2`, and so on.

    Parameters
    ----------
    inputs : sequence of Input
        Inputs.

    Returns
    -------
    tuple of str
        Different valid names in C and C++.

    Examples
    --------
    >>> names = ["Per cent %", "class", "2nd", "naïve", "名", "per-cent"]
    >>> member_names([Input(name, InputKind.NUMBER) for name in names])
    ('per_cent', 'class_', 'x_2nd', 'naive', 'x', 'per_cent_2')
    """
    taken: set[str] = set()
    names = []
    for read in inputs:
        base = _plain_name(read.name)
        name, number = base, 1
        while {name, name + COUNT} & taken if read.kind is InputKind.TAGS else name in taken:
            number += 1
            name = f"{base.rstrip('_')}_{number}"
        taken |= {name, name + COUNT} if read.kind is InputKind.TAGS else {name}
        names.append(name)
    return tuple(names)


def _plain_name(text: str) -> str:
    """Return a text as a lower-case name."""
    without_accents = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    name = re.sub("[^a-z0-9]+", "_", without_accents.lower())[:LONGEST_MEMBER].strip("_") or "x"
    if name[0].isdigit():
        name = f"x_{name}"
    return f"{name}_" if name in RESERVED else name
