"""Statistics of a table: fits without a penalty, with standard errors, intervals and tests of its columns."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from softreg.models import Inference, SoftmaxRegression, infer
from softreg.models.inference.fitted_rows import SeparationError
from softreg.optimize import Status
from softreg.tables.columns.table_errors import (
    Names,
    TableError,
    column_names,
    emit_warnings,
    quote,
    quote_list,
    unknown_column_error,
)
from softreg.tables.encode.encoder import Encoder
from softreg.tables.io.open_table import as_table
from softreg.tables.row_selection.complete_cases import (
    MAX_NAMED,
    MISSING,
    ExcludedRows,
    lost_classes_notes,
    no_complete_row_error,
    refuse_missing,
    rows_with_label_and_weight,
)
from softreg.tables.row_selection.group_codes import group_codes
from softreg.tables.row_selection.row_numbers import row_numbers
from softreg.tables.row_selection.weight_column import WeightColumn, read_row_weights
from softreg.tables.schema.kinds import Kind, requested_kinds
from softreg.tables.schema.schema import infer_schema
from softreg.tables.schema.target_labels import check_labels, labels
from softreg.tables.statistics.aliased_columns import without_aliased
from softreg.tables.statistics.design_matrix import Design, encoded_design
from softreg.tables.statistics.formula import Formula, parse_formula
from softreg.tables.statistics.formula_design import formula_design
from softreg.tables.statistics.statistics_result import TableStatistics
from softreg.typing import Float64Array, RowNumbers, TextArray


def table_statistics(
    data: Any,
    target: str | None = None,
    *,
    formula: str | None = None,
    rows: ArrayLike | None = None,
    drop: Names = (),
    text: Names = (),
    category: Names = (),
    number: Names = (),
    date: Names = (),
    missing: Literal["drop", "impute", "error"] = "drop",
    weights: str | None = None,
    weight_kind: Literal["frequency", "sampling"] | None = None,
    penalty: Literal["auto", "firth"] | None = "auto",
    reference: str | None = None,
    reference_levels: Mapping[str, str] | None = None,
    errors: str | None = None,
    clusters: str | None = None,
    level: float = 0.95,
) -> TableStatistics:
    """Fit a table without a penalty and compute standard errors, intervals and tests of its columns.

    Numbers keep their units, booleans are 0 and 1, and each category is compared with its most frequent level. Columns
    that are linear combinations of those before them have no coefficient (nan) and are named in the notes, as in R.

    Parameters
    ----------
    data : path, pyarrow.Table or data frame
        The table.
    target : str, optional
        Column of labels; may be left out if the formula names it.
    formula : str, optional
        Terms of the model, as "y ~ age * sex + bs(income)" (needs the extra `softreg[formula]`); by default each column
        as it is. Expressions may call a fixed list of functions; other code is refused.
    rows : array-like, optional
        Rows to use, as numbers from 0 or a mask; all by default.
    drop : names
        Columns to leave out.
    text, category, number, date : names
        Columns of a requested kind.
    missing : {"drop", "impute", "error"}
        "drop" leaves out rows with a missing value in some column; "impute" replaces missing values of features by the
        mean with an indicator column (of a category: a level of its own) and leaves out rows without a label or weight;
        "error" refuses them.
    weights : str, optional
        Column of weights.
    weight_kind : {"frequency", "sampling"}, optional
        A frequency weight w stands for w identical rows; a sampling weight is the inverse of a sampling probability,
        with robust errors. By default, whole numbers are frequency weights.
    penalty : {"auto", "firth"} or None
        None is the plain likelihood, which is refused for separated classes; "firth" is Firth's bias reduction; "auto"
        is the plain likelihood or, where classes are separated, Firth's with a `TableWarning`.
    reference : str, optional
        Class that others are compared with, the first by default.
    reference_levels : mapping of str to str, optional
        Reference level of categories and booleans, by column.
    errors : {"model", "robust"}, optional
        Kind of standard errors.
    clusters : str, optional
        Column whose equal values mark dependent rows; it is no feature, and errors are cluster-robust.
    level : float
        Confidence level of the intervals, in (0, 1).

    Returns
    -------
    TableStatistics
        Estimates, tests and notes.

    Raises
    ------
    TableError
        If the table cannot be used, a row has no cluster, a formula or weight is invalid, or, with penalty=None,
        classes are separated.

    Examples
    --------
    >>> import pyarrow as pa
    >>> random = np.random.default_rng(0)
    >>> age, town = random.integers(20, 70, 400), random.choice(["Bonn", "Kiel", "Ulm"], 400, p=[0.5, 0.3, 0.2])
    >>> p = 1 / (1 + np.exp(-(age - 45) / 10 - (town == "Kiel")))
    >>> table = pa.table({"age": age, "town": town, "buys": np.where(random.random(400) < p, "yes", "no")})
    >>> statistics = table_statistics(table, "buys")
    >>> statistics.reference_levels, statistics.inference.columns
    ({'town': 'Bonn'}, ('(intercept)', 'age', 'town=Kiel', 'town=Ulm'))
    >>> print(statistics.column_tests()["age"])
    likelihood ratio: 160.7 on 1 df, p < 0.001
    """  # noqa: DOC501
    _check_choices(missing, penalty, formula)
    dropped = column_names(drop)
    kinds = requested_kinds({"text": text, "category": category, "number": number, "date": date})
    table = as_table(data, unused=set(dropped) - {clusters, target, weights})
    apart = {*dropped, *(name for name in (clusters, weights) if name is not None)}
    request = _resolve_request(
        _Request(table, target or "", None, kinds, apart, missing, reference_levels or {}), formula
    )
    for name in [] if clusters is None or clusters in table.column_names else [clusters]:
        raise unknown_column_error(name, table.column_names, "column of clusters")
    every = row_numbers(rows, table.num_rows)
    every = np.arange(table.num_rows) if every is None else every
    weighing = None if weights is None else read_row_weights(table, weights, request.target, every, weight_kind)
    usable = _usable_rows(request, every, weighing)
    groups = None if clusters is None else _cluster_codes(table, clusters, request.target, usable.rows)
    settings = {"reference": reference, "errors": errors, "clusters": groups, "level": level}
    return _statistics(request, usable, weighing, penalty, settings)


def _check_choices(missing: str, penalty: str | None, formula: str | None) -> None:
    """Raise `TableError` for options that do not exist or exclude each other."""
    if missing not in MISSING:
        raise TableError(f"missing is {missing!r}; expected 'drop', 'impute' or 'error'.")
    if penalty not in ("auto", "firth", None):
        raise TableError(f"penalty is {penalty!r}; expected 'auto', 'firth' or None.")
    if missing == "impute" and formula is not None:
        raise TableError(
            "A formula says which columns the model has, so that missing values cannot be imputed with indicator "
            "columns. Leave such rows out (missing='drop', --missing drop)."
        )


@dataclass(frozen=True, eq=False)
class _Request:
    """The table, its target, and what is done with its columns."""

    table: Any
    target: str
    formula: Formula | None
    kinds: Mapping[str, Kind]
    apart: set[str]
    """Columns that are no features: those dropped, weights and clusters."""
    missing: str
    reference_levels: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class _Usable:
    """The design of the usable rows, their numbers, and what was left out of `total` rows."""

    design: Design
    rows: RowNumbers
    total: int
    left: ExcludedRows
    notes: tuple[str, ...]


def _resolve_request(request: _Request, formula: str | None) -> _Request:
    """Return the request with its formula, target and reference levels; raise `TableError` without a target."""
    levels = {str(name): str(value) for name, value in request.reference_levels.items()}
    request = replace(request, reference_levels=levels)
    if formula is not None:
        free = [name for name in request.table.column_names if name not in request.apart]
        parsed = parse_formula(formula, free, request.target or None)
        kinds = {**request.kinds, **dict.fromkeys(parsed.categories, Kind.CATEGORY)}
        request = replace(request, formula=parsed, target=parsed.target or request.target, kinds=kinds)
    if not request.target:
        raise TableError(
            "There is no target: name the column of labels (--target), or write it left of ~ in a formula."
        )
    return request


def _usable_rows(request: _Request, every: RowNumbers, weighing: WeightColumn | None) -> _Usable:
    """Return the usable rows with their design; raise `TableError` if there are none."""
    used, early = rows_with_label_and_weight(request.table, request.target, every, weighing, request.missing)
    design, notes = _design(request, used)
    by_column = {**early.by_column, **design.missing}
    left = replace(early, rows=early.rows + int((~design.complete).sum()), by_column=by_column)
    if request.missing == "error":
        refuse_missing(left, len(every))
    given, used = used, used[design.complete]
    if not len(used):
        raise no_complete_row_error(left, len(every))
    row_notes = lost_classes_notes(request.table, request.target, given, used)
    row_notes += [] if weighing is None else [weighing.note(used)]
    all_notes = (*left.notes(len(every), request.missing), *row_notes, *notes, *design.notes)
    return _Usable(design, used, len(every), left, all_notes)


def _design(request: _Request, used: RowNumbers) -> tuple[Design, list[str]]:
    """Return the design of these rows, and notes on the columns."""
    table, target = request.table, request.target
    variables = None if request.formula is None else request.formula.variables
    unused = {name for name in table.column_names if variables is not None and name not in variables}
    drop = [name for name in table.column_names if name in (request.apart | unused) - {target}]
    drop += sorted((request.apart & {target}) | (request.apart - set(table.column_names)))  # refused there, by name
    schema = infer_schema(table, target, drop=drop, rows=used, kinds=dict(request.kinds))
    notes = list(schema.warnings)
    if request.formula is not None:
        return formula_design(request.formula, schema, table, used, request.reference_levels), notes
    encoder = Encoder.fit(schema, table, used).with_standardized_numbers()
    levels = request.reference_levels
    design = encoded_design(encoder, table, used, missing=request.missing, reference_levels=levels)
    notes += [f"column {quote(name)}: {remark}" for name, remark in encoder.remarks.items()]
    return design, notes


def _statistics(
    request: _Request, usable: _Usable, weighing: WeightColumn | None, penalty: str | None, settings: dict[str, Any]
) -> TableStatistics:
    """Return the statistics of the usable rows, without aliased columns."""
    design = usable.design
    y = _labels(request.table, request.target, usable.rows, usable.left)
    w = None if weighing is None else weighing.of(usable.rows)
    classes, codes = np.unique(y, return_inverse=True)
    reduced, explained = without_aliased(design, codes, w, len(classes))
    kind = "frequency" if weighing is None else weighing.kind
    inference, fit_notes = _fitted(reduced, y, w, penalty, {**settings, "weights": kind})
    aliased = {design.names[j]: others for j, others in explained.items()}
    return TableStatistics(
        target=request.target,
        inference=replace(inference, changes={**inference.changes, **reduced.changes}),
        groups={column: tuple(design.names[j] for j in indices) for column, indices in design.column_indices.items()},
        reference_levels=design.reference_levels,
        column_indices=reduced.column_indices,
        aliased=aliased,
        notes=(*usable.notes, *_aliased_notes(aliased), *fit_notes),
        left_out=usable.left,
        total=usable.total,
        weights=weighing,
        _design=design,
        _names=tuple(design.names),
        _kept=tuple(j not in explained for j in range(len(design.names))),
    )


def _labels(table: Any, target: str, used: RowNumbers, left: ExcludedRows) -> TextArray:
    """Return the labels of the rows that are used; raise `TableError` for labels that cannot be fitted."""
    y = labels(table.select([target]).take(used), target)
    try:
        check_labels(y, target)
    except TableError as error:
        if not left.rows:
            raise
        raise TableError(
            f"Of the {len(y):,} rows that have all values (missing: {left.counts}): {error} Leaving out columns that "
            "have few values (--drop) or --missing impute keeps more rows."
        ) from None
    return y


def _fitted(
    design: Design, y: TextArray, w: Float64Array | None, penalty: Any, settings: dict[str, Any]
) -> tuple[Inference, tuple[str, ...]]:
    """Return the inference of a fit, and a note if separated classes are fitted by Firth's penalty."""
    if penalty == "firth":
        return _inference(design, y, w, "firth", settings), ()
    try:
        return _inference(design, y, w, None, settings), ()
    except SeparationError as error:
        if penalty is None:
            raise TableError(
                f"{error} A category has such a level where all of its rows have one label; penalty='firth' "
                "(--penalty firth on the command line) gives finite weights and tests all the same."
            ) from None
        inference = _inference(design, y, w, "firth", settings)
        note = (
            f"the classes are separated ({error.by}), so that the likelihood has no maximum at finite coefficients: "
            "estimates are Firth's bias-reduced ones; --penalty none (penalty=None in Python) refuses such a table"
        )
        emit_warnings([note[:1].upper() + note[1:] + "."])
        return inference, (note,)


def _inference(
    design: Design, y: TextArray, w: Float64Array | None, penalty: Any, settings: dict[str, Any]
) -> Inference:
    """Return the inference of a fit; raise `SeparationError` for separated classes."""
    model = SoftmaxRegression(penalty=penalty, tol=1e-8, fit_intercept=design.intercept)
    model._column_names = np.array(design.names, dtype=object)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(design.X, y, w)
    if model.solution_.status is Status.SEPARATED:
        raise SeparationError(str(caught[0].message), _separated_by(model, design.names))
    return infer(model, design.X, y, w, **settings)


def _separated_by(model: Any, names: list[str]) -> str:
    """Return which classes are separated, and by which columns."""
    separation = model.solution_.separation
    a, b = (quote(model.classes_[k]) for k in separation.classes)
    how = "completely" if separation.complete else "quasi-completely"
    return f"{a} and {b} {how}, by {quote_list(names[j] for j in separation.features)}"


def _aliased_notes(aliased: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return a note for each of the first aliased columns."""
    notes = [
        f"{quote(name)} has no coefficient (NA): "
        + (f"it is a linear combination of {quote_list(others)}" if others else "it is constant in the rows used")
        for name, others in aliased.items()
    ]
    more = [f"{len(notes) - MAX_NAMED:,} more columns have no coefficient (NA), for the rows do not determine it"]
    return notes if len(notes) <= MAX_NAMED + 1 else notes[:MAX_NAMED] + more


def _cluster_codes(table: Any, name: str, target: str, rows: RowNumbers) -> RowNumbers:
    """Return the cluster of each row as an integer; raise `TableError` for a row without one."""
    what, advice = "column of clusters", "Give these rows clusters of their own, or remove them."
    return group_codes(table, name, target, rows, what=what, advice=advice)
