"""Columns of a table without penalty or with bounds, as parameters of the regression on the encoded matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softreg.models.parameters.weight_terms import bound_interval
from softreg.tables.columns.table_errors import (
    Names,
    TableError,
    column_name,
    column_names,
    quote,
    quote_list,
    unknown_column_error,
)
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import Form, NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.schema import label_types
from softreg.tables.schema.kinds import FEATURE_KINDS, Kind
from softreg.tables.schema.schema import Schema
from softreg.typing import Array, BoolArray

CONSTRAINED_PENALTIES = (None, "l2", "l1", "elasticnet")
"""Penalties that are sums over weights."""
BOUNDED_KINDS = (Kind.NUMBER, Kind.BOOLEAN)
"""Kinds of columns with one weight a class, in the units of the column."""
SEVERAL_CLASSES = 3
"""Number of classes from which a bound needs a class or a reference."""


@dataclass(frozen=True)
class ColumnConstraints:
    """Columns without penalty, and bounds of columns, by the names of the table.

    Attributes
    ----------
    unpenalised : tuple of str
        Columns whose features have no penalty.
    bounds : mapping
        Bound of each column, or bounds by class: "+", "-" or (least, largest), per unit of the column.
    reference : object
        Class whose weights are 0 in the columns with bounds; None for none.
    """

    unpenalised: tuple[str, ...] = ()
    bounds: Mapping[str, Any] = field(default_factory=dict)
    reference: Any = None

    def __bool__(self) -> bool:
        return bool(self.unpenalised or self.bounds)

    def check(self, schema: Schema, penalty: str | None) -> None:
        """Check the columns against a schema, and the penalty.

        Parameters
        ----------
        schema : Schema
            Kinds of the columns.
        penalty : str or None
            Penalty of the regression.

        Raises
        ------
        TableError
            If a column does not exist, is no feature, or has a bound and is of a kind without; or if the penalty is
            none that is a sum over weights.
        """  # noqa: DOC501
        if not self:
            return
        if penalty not in CONSTRAINED_PENALTIES:
            what = "bounds" if self.bounds else "unpenalised columns"
            raise TableError(f"{what} need the penalty l2, l1, elasticnet or none, not {penalty}.")
        columns = {column.name: column for column in schema.columns}
        for names, what in ((self.unpenalised, "column without penalty"), (self.bounds, "column with a bound")):
            for name in names:
                if name not in columns:
                    raise unknown_column_error(name, list(columns), what)
                if columns[name].kind not in FEATURE_KINDS:
                    raise TableError(
                        f"Column {quote(name)} is named as a {what}, and is no feature of the model: it is "
                        f"{columns[name].kind.value} ({columns[name].reason})."
                    )
        for name in self.bounds:
            if columns[name].kind not in BOUNDED_KINDS:
                raise TableError(_no_bound(name, columns[name].kind, schema))

    def linear_forms(self, given: Mapping[Any, str] | None, schema: Schema) -> Mapping[Any, str] | None:
        """Return the requested forms of columns of numbers, linear for those with bounds.

        Parameters
        ----------
        given : mapping or None
            Requested forms by column.
        schema : Schema
            Kinds of the columns.

        Returns
        -------
        mapping or None
            The forms.

        Raises
        ------
        TableError
            If a column with a bound is requested in another form.
        """
        if not self.bounds:
            return given
        forms = {column_name(key, "numeric_form"): form for key, form in (given or {}).items()}
        for name in (column.name for column in schema.features if column.kind is Kind.NUMBER):
            if name in self.bounds and forms.setdefault(name, Form.LINEAR.value) != Form.LINEAR:
                raise TableError(
                    f"Column {quote(name)} has a bound, which is one of its slope, and is asked for in the form "
                    f"{forms[name]!r}; ask for it as linear, or leave the bound out."
                )
        return forms

    def parameters(self, encoder: Encoder, classes: Sequence[str]) -> dict[str, Any]:
        """Return the parameters of the regression on the encoded matrix.

        Parameters
        ----------
        encoder : Encoder
            Fitted encoder.
        classes : sequence of str
            Classes in the order of the classifier's `classes_`.

        Returns
        -------
        dict
            `penalty_factors`, `bounds` and `bounds_reference` by the names of features and the text of classes; empty
            without constraints.

        Raises
        ------
        TableError
            If a class does not exist or is missing, or the encoder has another form of a column with a bound.
        """
        names, found = encoder.feature_names_out, dict[str, Any]()
        if self.unpenalised:
            free = free_features(encoder, self.unpenalised)
            found["penalty_factors"] = {name: 0.0 for name, is_free in zip(names, free, strict=True) if is_free}
        if not self.bounds:
            return found
        self._check_slopes(encoder)
        reference = None if self.reference is None else _class(self.reference, classes, "bounds_reference")
        bounds: dict[str, dict[str, tuple[float, float]]] = {}
        for code, position in first_features(encoder):
            if code.name in self.bounds:
                scale = _linear_scale(code)
                of_class = dict(self._by_class(code.name, classes, reference))
                bounds[names[position]] = {
                    label: (low * scale, high * scale) for label, (low, high) in of_class.items()
                }
        return {**found, "bounds": bounds, "bounds_reference": reference}

    def _check_slopes(self, encoder: Encoder) -> None:
        """Raise `TableError` if a column with a bound has a curve or an interaction, which a slope does not limit."""
        curves = {code.name for code in encoder.column_encoders if isinstance(code, CurveEncoder)}
        paired = {side.column for pair in encoder.pairs for side in (pair.left, pair.right)}
        for name in (name for name in self.bounds if name in curves | paired):
            raise TableError(
                f"Column {quote(name)} has a bound, which is one of its slope, and the prior has "
                f"{'a curve' if name in curves else 'an interaction'} of it; leave the bound out, or train the prior "
                f"with --linear {quote(name)}."
            )

    def _by_class(
        self, name: str, classes: Sequence[str], reference: str | None
    ) -> Iterator[tuple[str, tuple[float, float]]]:
        """Yield each class whose weight has a bound in a column, with its limits per unit of the column."""
        entry = self.bounds[name]
        if isinstance(entry, Mapping):
            for label, value in entry.items():
                yield _class(label, classes, f"the bound of column {quote(name)}"), bound_interval(value, quote(name))
            return
        limits = bound_interval(entry, quote(name))
        if reference is None and len(classes) >= SEVERAL_CLASSES:
            last = classes[-1]
            raise TableError(
                f"The bound of column {quote(name)} needs a class, as there are {len(classes)}: "
                f"{{{name!r}: {{{last!r}: '+'}}}} (--bound {name}:{last}=+); or name a class with which the others are "
                "compared: bounds_reference (--bounds-reference)."
            )
        for label in classes[1:] if reference is None else classes:
            if label != reference:
                yield label, limits

    def remarks(self) -> dict[str, str]:
        """Return what is fitted without penalty or with bounds, in a few words, by column."""
        found = dict.fromkeys(self.unpenalised, "no penalty")
        for name, words in self.bound_texts().items():
            found[name] = "; ".join(part for part in (found.get(name, ""), f"bound {words}") if part)
        return found

    def bound_texts(self) -> dict[str, str]:
        """Return the bounds of each column as text, as "+" or "yes: 0..1"."""
        return {
            name: ", ".join(f"{label}: {bound_text(value)}" for label, value in entry.items())
            if isinstance(entry, Mapping)
            else bound_text(entry)
            for name, entry in self.bounds.items()
        }


NO_CONSTRAINTS = ColumnConstraints()
"""No bounds, and a penalty of all columns."""


def column_constraints(unpenalised: Names, bounds: Any, reference: Any) -> ColumnConstraints:
    """Return the constraints that the parameters of a classifier name.

    Parameters
    ----------
    unpenalised : names
        Columns without penalty.
    bounds : mapping or None
        Bounds by column, or by column and class.
    reference : object
        Class with which the others are compared; None for none.

    Returns
    -------
    ColumnConstraints
        The constraints.

    Raises
    ------
    TableError
        If the bounds are no mapping, or there is a reference without bounds.

    Examples
    --------
    >>> column_constraints("age", {"income": "+"}, None).remarks()
    {'age': 'no penalty', 'income': 'bound +'}
    """
    if bounds is not None and not isinstance(bounds, Mapping):
        raise TableError(f"bounds is {bounds!r:.80}; expected the bounds by column, as {{'age': '+'}}.")
    if reference is not None and not bounds:
        raise TableError("bounds_reference has no effect without bounds; give bounds, or leave it out.")
    by_column = {column_name(key, "bounds"): value for key, value in (bounds or {}).items()}
    for name, entry in by_column.items():
        for value in entry.values() if isinstance(entry, Mapping) else (entry,):
            bound_interval(value, quote(name))
    return ColumnConstraints(column_names(unpenalised), by_column, reference)


def regression_constraints(model: Any) -> ColumnConstraints:
    """Return the constraints of a regression on an array that are dicts by column; those in arrays have no names.

    Returns
    -------
    ColumnConstraints
        The constraints.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(penalty_factors={"age": 0, "sex": 2}, bounds={3: "+"}, bounds_reference=None)
    >>> regression_constraints(model)
    ColumnConstraints(unpenalised=('age',), bounds={'3': '+'}, reference=None)
    """
    factors, bounds = model.penalty_factors, model.bounds
    free = [name for name, factor in factors.items() if factor == 0] if isinstance(factors, Mapping) else []
    by_column = {str(name): bound for name, bound in bounds.items()} if isinstance(bounds, Mapping) else {}
    return ColumnConstraints(tuple(map(str, free)), by_column, model.bounds_reference)


def bound_text(value: Any) -> str:
    """Return a bound as on the command line.

    Parameters
    ----------
    value : str or pair
        The bound.

    Returns
    -------
    str
        "+", "-" or "LOW..HIGH".

    Examples
    --------
    >>> bound_text((None, 2.0)), bound_text((-1, 0.5)), bound_text("+")
    ('..2', '-1..0.5', '+')
    """
    if isinstance(value, str):
        return value
    low, high = ("" if limit is None or math.isinf(limit) else f"{limit:g}" for limit in value)
    return f"{low}..{high}"


def bounds_of_classes(settings: Mapping[str, Any], classes: Array) -> dict[str, Any]:
    """Return the parameters of a regression without the bounds of classes that its rows do not have.

    Parameters
    ----------
    settings : mapping
        Parameters, `bounds` by feature and class among them.
    classes : array of str
        Classes of the rows.

    Returns
    -------
    dict
        Parameters.

    Examples
    --------
    >>> bounds_of_classes({"bounds": {"age": {"a": (0, 1), "b": (0, 1)}}}, np.array(["b", "c"]))["bounds"]
    {'age': {'b': (0, 1)}}
    """
    known = set(classes.tolist())
    if not settings.get("bounds"):
        return dict(settings)
    bounds = {
        name: {label: limits for label, limits in entry.items() if label in known}
        for name, entry in settings["bounds"].items()
    }
    reference = settings.get("bounds_reference")
    return {**settings, "bounds": bounds, "bounds_reference": reference if reference in known else None}


def free_features(encoder: Encoder, columns: Sequence[str]) -> BoolArray:
    """Return a mask (d,) of the features of some columns.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.
    columns : sequence of str
        Columns of the table.

    Returns
    -------
    array of bool (d,)
        Mask.
    """
    return np.concatenate(
        [np.zeros(0, dtype=bool), *(np.full(code.width, code.name in columns) for code in encoder.parts)]
    )


# --- encoders -------------------------------------------------------------------------------------------------------


def first_features(encoder: Encoder) -> Iterator[tuple[Any, int]]:
    """Yield each column encoder with the position of its first feature."""
    first = 0
    for code in encoder.column_encoders:
        yield code, first
        first += code.width


def _linear_scale(code: Any) -> float:
    """Return by how much the column differs where the feature of its weight differs by 1."""
    if isinstance(code, BooleanEncoder):
        return 1.0
    if isinstance(code, NumberEncoder) and code.form is Form.LINEAR:
        return code.scale
    raise TableError(
        f"Column {quote(code.name)} has a bound, and the prior has normal scores of it. Train the prior with --as "
        f"{quote(code.name + '=linear')} (numeric_form={{{code.name!r}: 'linear'}} in Python), or leave the bound out."
    )


def _class(label: Any, classes: Sequence[str], what: str) -> str:
    """Return a class as text; raise `TableError` if it does not exist."""
    name = label_types.class_name(label, classes)
    if name not in classes:
        raise TableError(f"{what} names the class {quote(name)}; the classes are {quote_list(list(classes))}.")
    return name


def _no_bound(name: str, kind: Kind, schema: Schema) -> str:
    """Return the message on a column that cannot have a bound."""
    possible = [column.name for column in schema.features if column.kind in BOUNDED_KINDS]
    number = f"--number {quote(name)} (number=[{name!r}] in Python)"
    return (
        f"Column {quote(name)} has a bound, and was taken for a {kind.value}: only columns of numbers and booleans "
        f"have bounds, which are limits of a slope; here {quote_list(possible) if possible else 'there are none'}. If "
        f"it holds numbers, take it for these: {number}."
    )
