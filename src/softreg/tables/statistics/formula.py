"""Formulas such as `y ~ age * sex + bs(income)`: checked to contain no arbitrary code, and split into variables.

The package formulaic parses formulas and evaluates Python expressions in them. Each expression is first checked against
a list of functions and operators; anything else is refused.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from softreg.tables.columns.table_errors import TableError, quote, quote_list, unknown_column_error

FUNCTIONS = (
    "log", "log10", "log2", "exp", "I", "bs", "cs", "cr", "cc", "poly", "center", "scale", "standardize", "C",
)  # fmt: skip
"""Functions of formulaic that a formula may call."""
NUMPY_FUNCTIONS = (
    "log",
    "log1p",
    "log2",
    "log10",
    "exp",
    "expm1",
    "sqrt",
    "abs",
    "sin",
    "cos",
    "tan",
    "tanh",
    "arctan",
)
"""Functions that a formula may call as np.log, and so on."""
MAX_EXPONENT = 20
"""Largest exponent; larger ones overflow or are slow."""
MAX_LENGTH = 10_000
"""Most characters of a formula."""
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_COLOUR = re.compile(r"\x1b?⧛?\[?\x1b?\[[0-9;]*m⧚?|[⧛⧚]")


@dataclass(frozen=True)
class Formula:
    """A formula whose expressions are known to be harmless.

    Attributes
    ----------
    text : str
        The formula.
    target : str or None
        The column on the left, None without a left side.
    right : object
        The right side, as formulaic represents it.
    variables : tuple of str
        Columns on the right, in their order.
    categories : frozenset of str
        Columns within C().
    in_expressions : frozenset of str
        Columns that expressions compute with, which must be numbers.
    """

    text: str
    target: str | None
    right: Any
    variables: tuple[str, ...]
    categories: frozenset[str]
    in_expressions: frozenset[str]


def parse_formula(text: str, columns: Sequence[str], target: str | None = None) -> Formula:
    """Parse and check a formula.

    Parameters
    ----------
    text : str
        The formula.
    columns : sequence of str
        Columns of the table that may be used; `.` stands for all of them.
    target : str, optional
        Requested target; None where the formula names it.

    Returns
    -------
    Formula
        The formula.

    Raises
    ------
    TableError
        If the formula cannot be parsed, calls a function that is not in `FUNCTIONS` or `NUMPY_FUNCTIONS`, names an
        unknown column, or has another target on its left side.

    Examples
    --------
    >>> formula = parse_formula("buys ~ log(age) * town", ["age", "town", "buys"])
    >>> formula.target, formula.variables, sorted(formula.in_expressions)
    ('buys', ('age', 'town'), ['age'])
    >>> parse_formula("buys ~ open('a.txt')", ["age", "buys"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    softreg.tables.columns.table_errors.TableError: The formula has "open('a.txt')"; it may call only I, C, ...
    """  # noqa: DOC501
    try:
        import formulaic
    except ImportError:
        raise TableError(
            "Formulas need the package formulaic, which is not installed: pip install 'softreg[formula]'. Without it, "
            "leave the formula out; all columns are then features (--drop leaves one out)."
        ) from None
    if len(text) > MAX_LENGTH:
        raise TableError(f"The formula has {len(text):,} characters, more than {MAX_LENGTH:,}.")
    named = _left_side(text) or target
    free = [name for name in columns if name != named]
    try:
        parsed = formulaic.Formula(text, _context={"__formulaic_variables_available__": free})
    except Exception as error:  # formulaic raises errors of many types
        reason = " ".join(_COLOUR.sub("", str(error)).split())
        raise TableError(f"The formula {quote(text, 200)} cannot be parsed: {reason}") from None
    left, right = _sides(parsed, text)
    if left is not None and target is not None and left != target:
        raise TableError(f"The formula's left side is {quote(left)}, but the target is {quote(target)}; leave one out.")
    seen = _Variables(columns)
    for factor in _factors(right):
        seen.take(factor)
    if left is not None and left not in columns:
        raise unknown_column_error(left, columns, "target column")
    used = seen.used()
    if not used:
        raise TableError(f"The formula {quote(text, 200)} has no column on its right side; name one, as in 'y ~ age'.")
    if (left or target) in used:
        raise TableError(f"The formula has the target {quote(left or target)} on its right side as well.")
    return Formula(text, left, right, used, frozenset(seen.categories), frozenset(seen.computed))


def _left_side(text: str) -> str | None:
    """Return the left side as it is written, if it is a single name."""
    match = re.match(r"\s*(?:`([^`]+)`|([^\W\d][\w.]*))\s*~", text)
    return (match[1] or match[2]) if match else None


def _sides(parsed: Any, text: str) -> tuple[str | None, Any]:
    """Return the name on the left (or None) and the terms on the right; raise `TableError` for other forms."""
    right = getattr(parsed, "rhs", parsed)
    if not hasattr(right, "get_model_matrix") or not hasattr(right, "__len__") or isinstance(right, tuple):
        raise TableError(f"The formula {quote(text, 200)} has several parts; expected one right side, without |.")
    if right is parsed:
        return None, right
    terms = list(parsed.lhs)
    factors = [factor for term in terms for factor in term.factors]
    if len(factors) != 1 or factors[0].eval_method.name != "LOOKUP":
        raise TableError(
            f"The left side of the formula {quote(text, 200)} is not a single column; expected the name of the target, "
            "as in 'y ~ age'."
        )
    return str(factors[0].expr), right


def _factors(right: Any) -> Iterator[Any]:
    return (factor for term in right for factor in term.factors)


class _Variables:
    """Collector of the columns of a formula's factors, which refuses what a formula may not contain."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns
        self.order: list[str] = []
        self.categories: set[str] = set()
        self.computed: set[str] = set()

    def used(self) -> tuple[str, ...]:
        """Return the columns in the order of the formula, each once; raise `TableError` for conflicting uses."""
        both = self.categories & self.computed
        if both:
            raise TableError(
                f"The formula takes {quote_list(sorted(both))} for categories by C() and computes with them."
            )
        return tuple(dict.fromkeys(self.order))

    def take(self, factor: Any) -> None:
        """Add the columns of one factor; raise `TableError` for what is not allowed."""
        text, method = str(factor.expr), factor.eval_method.name
        if method == "LITERAL":
            if not re.fullmatch(r"[0-9.]+", text):
                raise _forbidden_error(text)
        elif method == "LOOKUP":
            self._column(text)
        else:
            self._expression(text)

    def _column(self, name: str) -> None:
        if name not in self.columns:
            raise unknown_column_error(name, self.columns, "column of the formula")
        self.order.append(name)

    def _expression(self, text: str) -> None:
        quoted = dict[str, str]()

        def placeholder(match: re.Match[str]) -> str:
            name = f"quoted_{len(quoted)}_"
            quoted[name] = match[1]
            return name

        try:
            tree = ast.parse(re.sub(r"`([^`]*)`", placeholder, text).strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise _forbidden_error(text) from None
        match tree:
            case ast.Call(func=ast.Name(id="C"), args=[ast.Name(id=name)], keywords=[]):
                self._column(quoted.get(name, name))
                self.categories.add(quoted.get(name, name))
                return
        for name in _expression_columns(tree, text):
            self._column(quoted.get(name, name))
            self.computed.add(quoted.get(name, name))


def _expression_columns(node: ast.expr, text: str) -> Iterator[str]:
    """Yield the columns of an expression; raise `TableError` for what is not allowed."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            yield from _expression_columns(operand, text)
        case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, _OPERATORS):
            inner = list(_expression_columns(left, text))
            if isinstance(operator, ast.Pow):
                if not inner or not _is_small(right):
                    raise _forbidden_error(text)
            else:
                inner += _expression_columns(right, text)
            yield from inner
        case ast.Call(func=function, args=[first, *rest], keywords=keywords) if _may_call(function):
            if not all(_is_constant(value) for value in [*rest, *(k.value for k in keywords)]):
                raise _forbidden_error(text)
            if any(k.arg is None for k in keywords):
                raise _forbidden_error(text)
            yield from _expression_columns(first, text)
        case _:
            raise _forbidden_error(text)


def _may_call(function: ast.expr) -> bool:
    match function:
        case ast.Name(id=name):
            return name in FUNCTIONS and name != "C"
        case ast.Attribute(value=ast.Name(id="np"), attr=name):
            return name in NUMPY_FUNCTIONS
    return False


def _is_small(node: ast.expr) -> bool:
    """Return True if an exponent is a number between -`MAX_EXPONENT` and `MAX_EXPONENT`."""
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
            return _is_small(inner)
        case ast.Constant(value=int() | float() as value):
            return abs(value) <= MAX_EXPONENT
    return False


def _is_constant(node: ast.expr) -> bool:
    """Return True if an argument is a number, a text, True, False or None, or a list of numbers."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float | str | None)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant()):
            return True
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return all(_is_constant(element) for element in elements)
    return False


def _forbidden_error(text: str) -> TableError:
    calls = [
        "I",
        "C",
        *(name for name in FUNCTIONS if name not in ("I", "C")),
        *(f"np.{name}" for name in NUMPY_FUNCTIONS),
    ]
    return TableError(
        f"The formula has {quote(text, 200)}; it may call only {', '.join(calls)}, each of a column or of an "
        f"expression with + - * / and ** (exponents up to {MAX_EXPONENT}), with constants as further arguments. "
        "C() takes a single column; its reference level is chosen by --reference-level (reference_levels in Python)."
    )


def marginal_terms(terms: Iterable[frozenset[str]]) -> set[frozenset[str]]:
    """Return the terms whose factors are all in another term; a test of such a term alone depends on the coding.

    Returns
    -------
    set of frozenset of str
        Terms.

    Examples
    --------
    >>> sorted(map(sorted, marginal_terms([frozenset("a"), frozenset("b"), frozenset("ab"), frozenset("c")])))
    [['a'], ['b']]
    """
    every = list(terms)
    return {one for one in every if any(one < other for other in every)}
