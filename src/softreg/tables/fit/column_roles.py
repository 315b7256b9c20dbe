"""The roles of the columns of a table that the parameters of a classifier name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from softreg.tables.columns.table_errors import (
    Names,
    TableError,
    column_name,
    column_names,
    quote,
    unknown_column_error,
)
from softreg.tables.fit.terms.term_options import Terms, requested_terms
from softreg.tables.row_selection.offset_columns import offset_columns
from softreg.tables.schema.feature_columns import excluded_columns
from softreg.tables.schema.kinds import USER_KINDS, Kind, requested_kinds


class ColumnRoles:
    """The columns that the parameters of a table classifier name: target, kinds, features, groups, time and offsets."""

    target: str | int | None
    features: Names
    drop: Names
    category: Names
    offset: Mapping[Any, str | int] | None
    terms: str | Terms

    def _requested_kinds(self) -> dict[str, Kind]:
        """Return the requested kinds by column."""
        kinds = {kind.value: column_names(getattr(self, kind.value)) for kind in USER_KINDS}
        pooled = column_names(requested_terms(self.terms).pool)
        more = tuple(name for name in pooled if name not in kinds[Kind.CATEGORY.value])
        return requested_kinds({**kinds, Kind.CATEGORY.value: (*kinds[Kind.CATEGORY.value], *more)})

    def _dropped(self, names: Sequence[str], target: str, weights: str | None) -> tuple[str, ...]:
        """Return the columns that are no features by the parameters."""
        features = None if self.features is None else column_names(self.features)
        beside = (self._name("groups"), self._name("time"), weights)
        drop, kinds, offsets = column_names(self.drop), self._requested_kinds(), offset_columns(self.offset)
        for name in offsets:
            if name not in names:
                raise unknown_column_error(name, names, "column of offsets")
            if name == target or name in (features or ()) or name in kinds or name in beside:
                raise TableError(f"Column {quote(name)} is an offset of the logits, and has another role as well.")
        drop = tuple(dict.fromkeys([*drop, *offsets]))
        return excluded_columns(names, target, drop=drop, features=features, beside=beside, requested=kinds)

    def _target_is_categorical(self, target: str | None) -> bool:
        """Return True if the labels are known to be classes, however many they are."""
        return target is not None and target in column_names(self.category)

    def _name(self, parameter: str) -> str | None:
        """Return the column that a parameter names; None where it names none."""
        given = getattr(self, parameter)
        return None if given is None else column_name(given, parameter)

    def _target(self, given: str | int | None) -> str | None:
        """Return the column of labels: that of the call, else that of the constructor."""
        name = self.target if given is None else given
        return None if name is None else column_name(name, "target")

    def _unused(self, target: str | None) -> set[str]:
        """Return the columns whose values are not read."""
        used = {self._name("groups"), self._name("time"), target, *offset_columns(self.offset)}
        return set(column_names(self.drop)) - used
