"""What is read of a row: one function in C for each input, which adds its features to the logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from softreg.export.c.c_literals import comment_text, double_literal, double_table, table, text_table
from softreg.export.c.c_names import COUNT
from softreg.export.program import (
    BooleanTerm,
    CodeTerm,
    CurveTerm,
    CycleTerm,
    Input,
    InputKind,
    LevelTerm,
    LinearTerm,
    MissingTerm,
    OffsetTerm,
    TagsTerm,
    Term,
    TrendTerm,
    VectorTerm,
)

TYPES = {
    InputKind.NUMBER: "double {}",
    InputKind.BOOLEAN: "double {}",
    InputKind.CODE: "double {}",
    InputKind.DATE: "double {}",
    InputKind.CATEGORY: "const char *{}",
    InputKind.VECTOR: "const double *{}",
    InputKind.TAGS: "const char *const *{}",
}
"""Declaration of a member by kind."""
BYTE_BITS = 8
"""Bits of a byte."""


@dataclass
class Reader:
    """The parts of the function that reads one input.

    Attributes
    ----------
    tables : list of str
        Definitions of constants before it.
    missing, known : list of str
        Statements for a missing value x, and for any other.
    functions : set of str
        Keys of `c_functions.FUNCTIONS` that it uses.
    """

    tables: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)

    def add(self, feature: int | str, value: str, *, missing: bool = False) -> None:
        """Add a feature to the logits of rows in which the value is known, or missing."""
        self.functions.add("add")
        (self.missing if missing else self.known).append(f"@_add(logits, {feature}, {value});")


@dataclass(frozen=True)
class ReadInput:
    """The source in C that reads an input.

    Attributes
    ----------
    source : str
        Constants and the function `@_read_<place>(row, logits)`, which returns 0 where the value is invalid.
    functions : frozenset of str
        Keys of `c_functions.FUNCTIONS` that it uses.
    """

    source: str
    functions: frozenset[str]


def read_input(read: Input, place: int, member: str, *, terms: Sequence[Term], prefix: str) -> ReadInput:
    """Return the source that reads an input.

    Parameters
    ----------
    read : Input
        The input, of any kind but TEXT.
    place : int
        Its number.
    member : str
        Its member of the row.
    terms : sequence of Term
        The terms that read it.
    prefix : str
        Prefix of all names.

    Returns
    -------
    ReadInput
        Source, and the functions that it uses.

    Raises
    ------
    ExportError
        If a level cannot be written.

    Examples
    --------
    >>> age = Input("age", InputKind.NUMBER, required=True)
    >>> print(read_input(age, 0, "age", terms=[OffsetTerm(0, 1)], prefix="churn").source)
    /* "age" */
    static inline int churn_read_0(const churn_row *row, double *logits) {
      double x = row->age;
      if (isnan(x)) return 0;
      if (isinf(x)) return 0;
      logits[1] += x;
      return 1;
    }
    <BLANKLINE>
    """
    reader = Reader()
    for term in terms:
        _add_term(reader, term, read, place)
    missing = missing_condition(reader, read, f"@_missing_{place}")
    lines = [*_missing(reader, read, missing), *_invalid(read), *reader.known, "return 1;"]
    variables = ["logits", *(["count"] if read.kind is InputKind.TAGS else [])]
    unused = [f"(void){variable};" for variable in variables if not any(variable in line for line in lines)]
    head = f"static inline int @_read_{place}(const @_row *row, double *logits)"
    written = function_source(head, [*declarations(read, member), *unused, *lines])
    source = "".join(reader.tables) + f"/* {comment_text(read.name)} */\n" + written
    return ReadInput(prefixed_lines(source, prefix), frozenset(reader.functions))


def function_source(head: str, lines: Sequence[str]) -> str:
    """Return the definition of a function.

    Parameters
    ----------
    head : str
        Declaration.
    lines : sequence of str
        Statements, some of several lines.

    Returns
    -------
    str
        Definition.

    Examples
    --------
    >>> print(function_source("int one(void)", ["return 1;"]), end="")
    int one(void) {
      return 1;
    }
    """
    body = "".join(f"  {line}\n" for line in "\n".join(lines).split("\n"))
    return f"{head} {{\n{body}}}\n"


def prefixed_lines(source: str, prefix: str) -> str:
    """Return source with the prefix; literals have no `@`, and comments are protected.

    Parameters
    ----------
    source : str
        Source with `@` in place of the prefix.
    prefix : str
        Prefix.

    Returns
    -------
    str
        Source.

    Examples
    --------
    >>> prefixed_lines("@_add(p, 1);", "churn")
    'churn_add(p, 1);'
    """
    lines = source.split("\n")
    return "\n".join(line if line.startswith("/*") else line.replace("@", prefix) for line in lines)


def declarations(read: Input, member: str) -> list[str]:
    """Return the declaration of x, the value of the row.

    Parameters
    ----------
    read : Input
        The input.
    member : str
        Its member of the row.

    Returns
    -------
    list of str
        Declarations.

    Examples
    --------
    >>> declarations(Input("age", InputKind.NUMBER), "age")
    ['double x = row->age;']
    """
    if read.kind is InputKind.TAGS:
        return [f"const char *const *x = row->{member};", f"const size_t count = row->{member}{COUNT};"]
    return [f"{TYPES[read.kind].format('x')} = row->{member};"]


def missing_condition(reader: Reader, read: Input, name: str) -> str:
    """Return the condition that x is missing.

    Parameters
    ----------
    reader : Reader
        Parts of the function; receives a table of words and the functions that the condition uses.
    read : Input
        The input.
    name : str
        Name of the table.

    Returns
    -------
    str
        Condition.

    Examples
    --------
    >>> missing_condition(Reader(), Input("age", InputKind.NUMBER, missing_numbers=(-9.0,)), "@_missing_0")
    'isnan(x) || x == -9.0'
    """
    condition = "x == NULL"
    if read.kind is InputKind.CATEGORY:
        words = dict.fromkeys(word.strip() for word in read.missing_words if word.strip())
        reader.functions.add("missing_text")
        condition = "@_missing_text(x, NULL, 0)"
        if words:
            reader.tables.append(text_table(name, words, f"The spelling of a missing value of column {read.name!r}"))
            condition = f"@_missing_text(x, {name}, {len(words)})"
    elif read.kind not in (InputKind.VECTOR, InputKind.TAGS):
        equal = [f" || x == {double_literal(number)}" for number in read.missing_numbers if not math.isnan(number)]
        condition = f"isnan(x){''.join(equal)}"
    return condition


def _missing(reader: Reader, read: Input, condition: str) -> list[str]:
    """Return the statements for a missing value."""
    if read.required:
        return [f"if ({condition}) return 0;"]
    if not reader.missing:
        return [f"if ({condition}) return 1;"]
    return [f"if ({condition}) {{", *(f"  {line}" for line in reader.missing), "  return 1;", "}"]


def _invalid(read: Input) -> list[str]:
    """Return the statements that refuse an invalid value, which is not missing."""
    match read.kind:
        case InputKind.BOOLEAN:
            return ["if (x != 0.0 && x != 1.0) return 0;"]
        case InputKind.VECTOR if read.length:
            return [
                f"{{\n  size_t i;\n  for (i = 0; i < {read.length}; ++i) {{",
                "    if (!isfinite(x[i])) return 0;\n  }\n}",
            ]
        case InputKind.VECTOR | InputKind.CATEGORY | InputKind.CODE | InputKind.TAGS:
            return []
    return ["if (isinf(x)) return 0;"]


def _add_term(reader: Reader, term: Term, read: Input, place: int) -> None:
    """Add the statements of a term."""
    match term:
        case LinearTerm():
            _add_linear(reader, term)
        case CurveTerm():
            reader.add(term.first, curve_value(reader, term, f"{place}_{term.first}"))
        case BooleanTerm():
            reader.add(term.first, double_literal(term.fill), missing=True)
            reader.add(term.first, "x")
        case MissingTerm():
            reader.add(term.first, "1.0", missing=True)
        case LevelTerm() | CodeTerm():
            _add_levels(reader, term, read, place)
        case TrendTerm():
            reader.add(term.first, f"(x - {_operand(term.center)}) / {double_literal(term.scale)}")
        case CycleTerm():
            reader.functions |= {"cycle", f"{term.cycle.value}_phase"}
            reader.known.append(f"@_cycle(logits, {term.first}, @_{term.cycle.value}_phase(x));")
        case VectorTerm():
            _add_vector(reader, term, place)
        case TagsTerm():
            _add_tags(reader, term, read, place)
        case OffsetTerm():
            reader.known.append(f"logits[{term.label}] += x;")
        case _:
            raise TypeError(f"no source in C is known for {type(term).__name__}")


def _operand(value: float) -> str:
    """Return a number that may stand after a sign."""
    literal = double_literal(value)
    return f"({literal})" if literal.startswith("-") else literal


def _add_linear(reader: Reader, term: LinearTerm) -> None:
    """Add a standardized number; one beyond the range of float64 is invalid."""
    reader.functions.add("add")
    reader.known += [
        "{",
        f"  const double z = {linear_value(reader, term)};",
        "  if (!isfinite(z)) return 0;",
        f"  @_add(logits, {term.first}, z);",
        "}",
    ]


def linear_value(reader: Reader, term: LinearTerm) -> str:
    """Return the standardized x.

    Parameters
    ----------
    reader : Reader
        Parts of the function; receives the functions that the expression uses.
    term : LinearTerm
        Term.

    Returns
    -------
    str
        Expression.

    Examples
    --------
    >>> linear_value(Reader(), LinearTerm(0, 0, -math.inf, math.inf, 1.0, 2.0))
    '(x - 1.0) / 2.0'
    """
    x = "x"
    if not (math.isinf(term.low) and math.isinf(term.high)):
        reader.functions.add("clip")
        x = f"@_clip(x, {double_literal(term.low)}, {double_literal(term.high)})"
    return f"({x} - {_operand(term.center)}) / {double_literal(term.scale)}"


def curve_value(reader: Reader, term: CurveTerm, name: str) -> str:
    """Return the value of a curve at x.

    Parameters
    ----------
    reader : Reader
        Parts of the function; receives the tables and functions that the expression uses.
    term : CurveTerm
        Term.
    name : str
        End of the names of the tables.

    Returns
    -------
    str
        Expression.

    Examples
    --------
    >>> curve_value(Reader(), CurveTerm(0, 0, (0.0, 1.0), (0.0, 2.0)), "0_0")
    '@_interpolate(x, @_knots_0_0, @_values_0_0, 2)'
    """
    reader.tables.append(double_table(f"@_knots_{name}", term.knots))
    reader.tables.append(double_table(f"@_values_{name}", term.values))
    reader.functions.add("interpolate")
    return f"@_interpolate(x, @_knots_{name}, @_values_{name}, {len(term.knots)})"


def _add_levels(reader: Reader, term: LevelTerm | CodeTerm, read: Input, place: int) -> None:
    """Add the feature of a level, found by bisection."""
    if term.missing >= 0:
        reader.add(term.first + term.missing, "1.0", missing=True)
    other = f"@_add(logits, {term.first + term.other}, 1.0);"
    name = f"{place}_{term.first}"
    find = find_level(reader, term, read, name)
    if find:
        n = len(term.words if isinstance(term, LevelTerm) else term.numbers)
        reader.functions.add("add")
        reader.known += [
            "{",
            f"  const size_t at = {find};",
            f"  if (at < {n}) @_add(logits, {term.first} + @_places_{name}[at], 1.0);",
            *([f"  else {other}"] if term.other >= 0 else []),
            "}",
        ]
    elif term.other >= 0:
        reader.add(term.first + term.other, "1.0")


def find_level(reader: Reader, term: LevelTerm | CodeTerm, read: Input, name: str) -> str:
    """Return the search for x in the table of levels; its place in that of the places of levels is the result.

    Parameters
    ----------
    reader : Reader
        Parts of the function; receives the tables and functions that the expression uses.
    term : LevelTerm or CodeTerm
        Term.
    read : Input
        The input.
    name : str
        End of the names of the tables.

    Returns
    -------
    str
        Expression, the number of levels for an unknown one; empty without levels.

    Examples
    --------
    >>> find_level(Reader(), CodeTerm(0, 0, {5.0: 0}, -1, -1), Input("zip", InputKind.CODE), "0_0")
    '@_find_number(x, @_levels_0_0, 1)'
    """
    if isinstance(term, LevelTerm):
        spellings = sorted(term.words, key=_bytes)
        places = [term.words[word] for word in spellings]
        levels = text_table(f"@_levels_{name}", spellings, f"The level of column {read.name!r}") if places else ""
        find = "find_text"
    else:
        numbers = sorted(term.numbers)
        places = [term.numbers[number] for number in numbers]
        levels = double_table(f"@_levels_{name}", numbers) if places else ""
        find = "find_number"
    if not places:
        return ""
    reader.tables += [levels, table(f"uint32_t @_places_{name}", map(str, places))]
    reader.functions.add(find)
    return f"@_{find}(x, @_levels_{name}, {len(places)})"


def _add_vector(reader: Reader, term: VectorTerm, place: int) -> None:
    """Add the elements of a vector."""
    if not term.means:
        return
    value, known = "x[i]", "if (x[i] != 0.0) "  # sparse vectors take less time
    if any(term.means):
        name = f"@_means_{place}_{term.first}"
        reader.tables.append(double_table(name, term.means))
        value, known = f"(x[i] - {name}[i])", ""
    if term.scale != 1:
        value += f" / {double_literal(term.scale)}"
    reader.functions.add("add")
    n = len(term.means)
    add = f"{known}@_add(logits, {term.first} + i, {value});"
    reader.known.append(f"{{\n  size_t i;\n  for (i = 0; i < {n}; ++i) {{\n    {add}\n  }}\n}}")


def _add_tags(reader: Reader, term: TagsTerm, read: Input, place: int) -> None:
    """Add the feature of each tag once; one bit a tag, on the stack, tells those that were added."""
    tags = sorted(term.tags, key=_bytes)
    places = [term.tags[tag] for tag in tags]
    last = max([*places, term.other], default=-1)
    if last < 0:
        return
    name = f"{place}_{term.first}"
    choice = [f"place = {term.other};"]
    if tags:
        reader.functions.add("find_text")
        reader.tables.append(text_table(f"@_tags_{name}", tags, f"The tag of column {read.name!r}"))
        reader.tables.append(table(f"uint32_t @_places_{name}", map(str, places)))
        choice = [
            f"place = @_find_text(x[i], @_tags_{name}, {len(tags)});",
            f"if (place < {len(tags)}) place = @_places_{name}[place];",
            "else continue;" if term.other < 0 else f"else place = {term.other};",
        ]
    reader.functions.add("add")
    reader.known += [
        "{",
        f"  unsigned char seen[{last // BYTE_BITS + 1}];",
        "  size_t i, place;",
        "  memset(seen, 0, sizeof seen);",
        "  for (i = 0; i < count; ++i) {",
        "    if (x[i] == NULL) continue;",
        *(f"    {line}" for line in choice),
        "    if (seen[place / 8] & (1u << (place % 8))) continue;",
        "    seen[place / 8] = (unsigned char)(seen[place / 8] | (1u << (place % 8)));",
        f"    @_add(logits, {term.first} + place, 1.0);",
        "  }",
        "}",
    ]


def _bytes(text: str) -> bytes:
    """Return the bytes by which texts are sorted, as strcmp compares them."""
    return text.encode("utf-8", "surrogatepass")
