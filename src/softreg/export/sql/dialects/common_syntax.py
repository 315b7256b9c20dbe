"""What dialects of SQL have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from softreg.export.program import Input, Label
from softreg.export.sql.expressions import Choice, search
from softreg.export.sql.result import Result
from softreg.export.sql.syntax import Vector, exponent_form, identifier, signed


class CommonSyntax:
    """Arithmetic of IEEE 754 that raises no errors, and columns for the values of a stage."""

    folds_case = True
    notes: tuple[str, ...] = ()

    def number(self, value: float) -> str:
        """Return a literal with an exponent is of double precision."""
        return exponent_form(value)

    def exact(self, value: float) -> str:
        """Literals are read exactly."""
        return self.number(value)

    def clipped(self, name: str) -> str:
        """Names are of any length."""
        return name

    def text(self, value: str) -> str:
        """Text in quotes; zero characters are not allowed."""
        doubled = value.replace("'", "''")
        return f"'{doubled}'"

    def place(self, word: str, places: Mapping[str, int]) -> str:
        """Return a search in the order of the bytes."""
        words = sorted(places, key=str.encode)
        return search(word, [Choice(self.text(one), str(places[one])) for one in words]) if words else "NULL"

    def is_one_of(self, text: str, words: Sequence[str]) -> str:
        """Return a list of literals."""
        return f"{text} IN ({', '.join(map(self.text, words))})"

    def is_missing(self, trimmed: str, read: Input) -> str:
        """Return the condition that text is blank or a spelling of a missing value."""
        named = self.is_one_of(trimmed, ("", *read.missing_words))
        if not read.missing_spellings:
            return named
        return f"({named} OR {self.is_one_of(self.lower(trimmed), read.missing_spellings)})"

    def lower(self, text: str) -> str:
        """Return the function of that name."""
        return f"lower({text})"

    def tag_codes(self, value: str, tags: Mapping[str, int], other: int) -> str:
        """Tags have features."""
        raise NotImplementedError

    def tag_sum(self, codes: str, weights: Sequence[float]) -> str:
        """Tags have features."""
        raise NotImplementedError

    def scaled(self, x: str, center: float, scale: float, *, bounded: bool, limit: float) -> str:
        """Return the formula itself."""
        difference = f"({x} - {signed(self.number(center))})" if center else x
        return f"{difference} / {self.number(scale)}" if scale != 1 else difference

    def bounded(self, x: str, limit: float) -> str:
        """Return the number itself."""
        return x

    def exponential(self, x: str) -> str:
        """Return the function of that name."""
        return f"exp({x})"

    def quotient(self, a: str, b: str) -> str:
        """Return the formula itself."""
        return f"{a} / {b}"

    def product(self, p: str, factor: float) -> str:
        """Return the formula itself."""
        return f"{p} * {self.number(factor)}"

    def half(self, p: str) -> str:
        """Return the formula itself."""
        return f"{p} / {self.number(2)}"

    def extreme(self, values: Sequence[str], *, greatest: bool) -> str:
        """Return the functions `greatest` and `least`."""
        return f"{'greatest' if greatest else 'least'}({', '.join(values)})"

    def is_zero_weight(self, weight: float) -> bool:
        """Only 0 is 0."""
        return weight == 0

    def pack(self, name: str, values: Sequence[str]) -> Vector:
        """One column for each number."""
        names = tuple(f"{name}{k}" for k in range(len(values)))
        return Vector(dict(zip(names, values, strict=True)), names)

    def label(self, value: Label) -> str:
        """Return a literal of the type of the label."""
        if isinstance(value, bool):
            return str(value).upper()
        if isinstance(value, str):
            return self.text(value)
        return str(value) if isinstance(value, int) else self.number(value)


def listed(stages: Sequence[Mapping[str, str]], at: int) -> str:
    """Return the columns of a stage as a list of a SELECT.

    Parameters
    ----------
    stages : sequence of mapping of str to str
        Stages.
    at : int
        Number of the stage.

    Returns
    -------
    str
        List, one line a column, empty without columns.

    Examples
    --------
    >>> listed([{"a": "1", "b": "b"}], 0)
    '1 AS a, b'
    """
    parts = [name if name == text else f"{text} AS {name}" for name, text in stages[at].items()]
    return ", ".join(parts)


def chained(
    source: str,
    stages: Sequence[Mapping[str, str]],
    result: Result,
    *,
    row: str,
    fence: str,
) -> str:
    """Return a statement in which every stage has the row of the table as its column r.

    Parameters
    ----------
    source : str
        Table.
    stages : sequence of mapping of str to str
        Stages.
    result : Result
        Columns that are added.
    row : str
        All columns of the row r.
    fence : str
        End of each stage, which keeps the system from merging it with the next one.

    Returns
    -------
    str
        Statement without a semicolon.
    """
    alias = result.row
    ends = [f"{source} AS {alias}", *(f"s{k}" for k in range(len(stages) - 1))]
    parts = []
    for k, end in enumerate(ends):
        columns = listed(stages, k)
        first = f"{alias} AS r" if k == 0 else "r"
        parts.append(f"s{k} AS (\nSELECT {first}{', ' if columns else ''}{columns}\nFROM {end}{fence})")
    added = ",\n".join(
        f"{value} AS {identifier(name)}" for value, name in zip(result.values, result.names, strict=True)
    )
    return f"WITH {', '.join(parts)}\nSELECT {row},\n{added}\nFROM s{len(stages) - 1}"
