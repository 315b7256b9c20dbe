"""Codes of the labels of batches among the classes of a whole table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from softreg.tables.columns.row_location import read_location
from softreg.tables.row_selection.rare_classes import NO_RARE, RareClasses
from softreg.tables.schema.target_labels import coded_labels
from softreg.typing import Int64Array
from softreg.value_text import TextIndex, text_array


@dataclass(frozen=True)
class LabelCoder:
    """Coder of labels: rare ones may be one class, or none.

    Attributes
    ----------
    target : str
        Column of labels.
    known : tuple of str
        Labels of the table, sorted.
    missing : {"drop", "error"}
        Whether rows without a label have the code -1, or are an error.
    rare : RareClasses
        Rare labels, and what is done with them.

    Examples
    --------
    >>> LabelCoder("y", ("a", "b")).codes(pa.table({"y": ["b", "a", None]}))
    (['a', 'b'], array([ 1,  0, -1]))
    """

    target: str
    known: tuple[str, ...]
    missing: str = "drop"
    rare: RareClasses = NO_RARE

    @cached_property
    def classes(self) -> list[str]:
        """Classes of the model, sorted."""
        return sorted(set(self.rare.merged(self.known).values()))

    def codes(self, table: pa.Table | pa.RecordBatch) -> tuple[list[str], Int64Array]:
        """Return the classes and the code (n,) of each row of a batch, -1 for none."""
        values, codes = coded_labels(table, self.target, read_location(table), missing=self.missing)
        of_value = np.append(self._class_of_label[self._index.find(text_array(values))], -1)
        return self.classes, of_value[codes]

    @cached_property
    def _index(self) -> TextIndex:
        return TextIndex(self.known)

    @cached_property
    def _class_of_label(self) -> Int64Array:
        """Code of the class of each known label; -1 at the end, and for labels that are left out."""
        merged = self.rare.merged(self.known)
        position = {name: k for k, name in enumerate(self.classes)}
        codes = (position[merged[label]] if label in merged else -1 for label in self._index.known)
        return np.array([*codes, -1], dtype=np.int64)
