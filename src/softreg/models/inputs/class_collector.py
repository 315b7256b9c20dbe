"""Classes of rows that arrive in parts, each with its own labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.models.inputs.offsets import column_order
from softreg.probability import Classes
from softreg.typing import Array, IntArray
from softreg.value_text import unify_spellings


class ClassCollector:
    """Collects the classes of parts of the rows, and numbers them in order of first appearance.

    Examples
    --------
    >>> collector = ClassCollector()
    >>> collector.add(np.array(["no", "yes"])), collector.add(np.array(["maybe", "yes"]))
    (array([0, 1]), array([2, 1]))
    >>> collector.finish()
    (array(['maybe', 'no', 'yes'], dtype='<U5'), array([1, 2, 0]))
    """

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        """Number of each class of hard labels, in order of first appearance."""
        self._label_arrays: list[Array] = []
        """The classes of each part that brought a new one."""
        self._probability_classes: Array | None = None
        """Classes of label probabilities; None for hard labels."""
        self._from_file = False
        """Whether labels come from files, where true and True of two programs are one class."""

    @property
    def hard(self) -> bool:
        """Whether the labels are classes, not label probabilities."""
        return self._probability_classes is None

    def __len__(self) -> int:
        return len(self._numbers) if self._probability_classes is None else len(self._probability_classes)

    def add(self, classes: Array, *, probabilities: bool = False, from_file: bool = False) -> IntArray:
        """Return the number (k,) of each class of a part, or of each column of its label probabilities.

        Parameters
        ----------
        classes : ndarray of shape (k,)
            The classes of the part.
        probabilities : bool
            Whether the part has label probabilities, whose columns these are.
        from_file : bool
            Whether the labels are text of a file.

        Returns
        -------
        ndarray of int of shape (k,)
            The numbers.

        Raises
        ------
        ValueError
            If parts differ in the kind of their labels, or in the classes of label probabilities.
        """
        self._from_file |= from_file
        if probabilities:
            if self._probability_classes is None and not self._numbers:
                self._probability_classes = classes
            if self._probability_classes is None or not np.array_equal(classes, self._probability_classes):
                raise ValueError("batches differ in their classes: label probabilities need the same columns in each.")
            return np.arange(len(classes))
        if self._probability_classes is not None:
            raise ValueError("this batch has hard labels, those before had label probabilities; give one kind.")
        keys = list(classes) if classes.dtype.kind in "Mm" else classes.tolist()
        if any(label not in self._numbers for label in keys):
            self._label_arrays.append(classes)
        return np.array([self._numbers.setdefault(label, len(self._numbers)) for label in keys], dtype=np.int64)

    def finish(self) -> tuple[Array, IntArray]:
        """Return the classes (q,), sorted for hard labels, and the position among them of each number."""
        if self._probability_classes is not None:
            return self._probability_classes, np.arange(len(self._probability_classes))
        is_text = all(isinstance(label, str) for label in self._numbers)
        spellings = unify_spellings(list(self._numbers)) if is_text and self._from_file else {}
        if spellings:
            classes = Classes(list(spellings.values()))
            return classes.labels, classes.encode([spellings[label] for label in self._numbers])
        one_kind = len({labels.dtype.kind for labels in self._label_arrays}) == 1
        classes = Classes(np.concatenate(self._label_arrays) if one_kind else list(self._numbers))
        return classes.labels, classes.encode(list(self._numbers))


def offset_column_order(names: list[str] | None, columns: int, classes: Array) -> Array:
    """Return the column of the offsets of each class.

    Parameters
    ----------
    names : list of str or None
        Names of the columns, which are classes; None for columns in the order of the classes.
    columns : int
        Number of columns.
    classes : ndarray of shape (q,)
        The classes.

    Returns
    -------
    ndarray of int of shape (q,)
        Positions of the columns.

    Raises
    ------
    ValueError
        If the columns do not match the classes.

    Examples
    --------
    >>> offset_column_order(["yes", "no"], 2, np.array(["no", "yes"]))
    array([1, 0])
    """
    if names is not None:
        text = {str(label) for label in classes.tolist()}  # a class may have no row of a weight above 0
        named = [name for name in names if str(name) in text]
        order = column_order(named if set(map(str, named)) == text else names, classes)
        return np.array([names.index(named[k]) for k in order])
    if columns != len(classes):
        raise ValueError(
            f"the offsets of the batches have {columns} columns, and there are {len(classes)} classes: "
            f"{Classes.of(classes).listing()}. Give one column a class, in this order."
        )
    return np.arange(len(classes))
