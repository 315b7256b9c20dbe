"""Labels and their codes, and labels as probabilities: hard (one-hot), soft (a matrix), smoothed.

A label is what the user writes ("cat", 7, True); its code is its position among the classes (0, 1, 2, ...);
its label probabilities are the row (1, 0, 0), or, for a soft label, any distribution over the classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from softreg.probability.check_distributions import check_probabilities
from softreg.probability.label_arrays import above, distinct, label_array, span, spell
from softreg.typing import FloatArray, IntArray


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Classes:
    """The classes of a problem: a one-to-one map between labels and the codes 0 .. q - 1.

    `Classes(y)` are the labels seen in y, sorted as by `numpy.unique`; `Classes.of(labels)` are known classes
    in the given order. Labels keep their kind: text, integers, booleans, dates, objects that can be sorted.
    Floats are labels only where they are whole numbers. Frozen; `labels` is a read-only array of shape (q,).

    Raises `ValueError` for missing labels (None, nan, NaT, NA), for numbers such as 1.7 (a regression
    target), for text mixed with numbers, and for no label at all; the message names the row.

    >>> classes = Classes(["dog", "cat", "dog"])
    >>> classes.encode(["cat", "dog"]), classes.decode([1, 0]), len(classes)
    (array([0, 1]), array(['dog', 'cat'], dtype='<U3'), 2)

    Source: the nominal scale of Stevens, "On the theory of scales of measurement" (1946).
    """

    labels: NDArray[Any]

    def __init__(self, y: ArrayLike) -> None:
        values = label_array(y, "y")
        try:
            self._hold(distinct(values))
        except TypeError as error:
            raise ValueError(f"the labels cannot be sorted ({error}); use Classes.of to give their order.") from error

    @classmethod
    def of(cls, labels: ArrayLike) -> Classes:
        """Classes that are known beforehand, in the given order, whether or not each of them has been seen.

        Parameters
        ----------
        labels : array_like
            (q,), each label once.

        Returns
        -------
        Classes
            Classes that are known beforehand, in the given order, whether or not each of them has been seen.

        Raises
        ------
        ValueError
            For a label that occurs twice, and as the class does.

        Examples
        --------
        >>> Classes.of(["small", "large"]).encode(["large"])
        array([1])
        """
        values = label_array(labels, "classes")
        first: dict[Any, int] = {}
        for code, label in enumerate(_plain(values)):
            if first.setdefault(label, code) != code:
                raise ValueError(f"the class {spell(label)} is given twice (positions {first[label]} and {code}).")
        self = cls.__new__(cls)
        self._hold(values.copy())
        return self

    def _hold(self, labels: NDArray[Any]) -> None:
        if labels.size == 0:
            raise ValueError("there is no label, so there are no classes; at least one row with a label is needed.")
        labels.flags.writeable = False
        object.__setattr__(self, "labels", labels)

    def encode(self, y: ArrayLike) -> IntArray:
        """Codes of the labels y: where each stands among the classes.

        Parameters
        ----------
        y : array_like
            (n,) labels.

        Returns
        -------
        ndarray
            (n,) integers in 0 .. q - 1. Numbers match by value (2 and 2.0, at any width, signed or not), text by its
            exact characters; text never matches a number.

        Raises
        ------
        ValueError
            For a label that is not among the classes, naming it, its row and the classes; and for missing labels.

        Examples
        --------
        >>> Classes(["cat", "dog"]).encode(["dog", "cow"])
        Traceback (most recent call last):
        ...
        ValueError: the label 'cow' (row 1) is not among the known classes: 'cat', 'dog'. Leave such rows out, or fit with all classes named beforehand.
        """  # noqa: E501
        values = label_array(y, "y")
        codes = self._places(values)
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            raise ValueError(
                f"the label {spell(values[row])} (row {row}) is not among the known classes: {self.listing()}"
                ". Leave such rows out, or fit with all classes named beforehand."
            )
        return codes

    def find(self, y: ArrayLike) -> IntArray:
        """Codes of the labels y as `encode` gives them, with -1 for a label that is not among the classes.

        Parameters
        ----------
        y : array_like
            (n,) labels.

        Returns
        -------
        ndarray
            (n,) integers in -1 .. q - 1.

        Raises
        ------
        ValueError
            For missing labels.

        Examples
        --------
        >>> Classes(["cat", "dog"]).find(["dog", "cow"])
        array([ 1, -1])
        """
        return self._places(label_array(y, "y"))

    def _places(self, values: NDArray[Any]) -> IntArray:
        if values.dtype.kind == self.labels.dtype.kind and values.dtype.kind in "biufUS":
            near = span(self.labels)
            if near and len(values) and near[0] <= values.min() and values.max() <= near[1]:
                table = np.full(near[1] - near[0] + 1, -1, dtype=np.intp)  # many times as fast as a search
                table[above(self.labels, near[0])] = np.arange(len(self))
                return np.asarray(table[above(values, near[0])])
            order = np.argsort(self.labels, kind="stable")
            slot = np.searchsorted(self.labels, values, sorter=order)
            codes = order[np.minimum(slot, len(self) - 1)]
            return np.where(self.labels[codes] == values, codes, -1)
        kinds = values.dtype.kind, self.labels.dtype.kind
        if (kinds[0] in "US") != (kinds[1] in "US") and all(kind in "biufUS" for kind in kinds):
            return np.full(len(values), -1, dtype=np.intp)  # text never matches a number
        # Python's own equality is exact between any two kinds; NumPy would go through float64
        known = {label: code for code, label in enumerate(_plain(self.labels))}
        return np.fromiter((known.get(v, -1) for v in _plain(values)), dtype=np.intp, count=len(values))

    def decode(self, codes: ArrayLike) -> NDArray[Any]:
        """Return labels of the codes, in the dtype of the labels.

        Parameters
        ----------
        codes : array_like
            Integers in 0 .. q - 1, any shape.

        Returns
        -------
        ndarray
            Labels of the codes, in the dtype of the labels.

        Raises
        ------
        ValueError
            For another number, naming its place: a rejected row (-1, from `reject`) has no label and is for the caller
            to handle.

        Examples
        --------
        >>> Classes.of([3, 7]).decode([1, 1, 0])
        array([7, 7, 3])
        """
        return self.labels[check_codes(codes, len(self), "codes")]

    def listing(self, limit: int = 10) -> str:
        """Return the classes in words, for a message: the first `limit`, and how many more there are.

        Returns
        -------
        str
            The classes in words, for a message: the first `limit`, and how many more there are.

        Examples
        --------
        >>> Classes([1, 2, 3]).listing(limit=2)
        '1, 2 and 1 more'
        """
        shown = ", ".join(spell(label) for label in self.labels[:limit])
        return shown if len(self) <= limit else f"{shown} and {len(self) - limit} more"

    def __len__(self) -> int:
        return int(self.labels.size)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.labels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Classes) and _plain(self.labels) == _plain(other.labels)

    def __hash__(self) -> int:
        return hash(tuple(_plain(self.labels)))

    def __repr__(self) -> str:
        return f"Classes({self.listing()})"


def one_hot(
    y: ArrayLike,
    n_classes: int | None = None,
    *,
    classes: Classes | Sequence[Any] | NDArray[Any] | None = None,
    dtype: DTypeLike = np.float64,
) -> FloatArray:
    """Hard labels as rows of a matrix: 1 at the class of the label, 0 elsewhere.

    `one_hot(y)_ik = 1 if y_i is class k, else 0`

    With `n_classes`, y holds codes 0 .. n_classes - 1 of any shape (...). With `classes` (a `Classes`, or labels in the
    wanted order), y holds labels (n,). With neither, the classes are the labels seen in y, sorted.

    Returns
    -------
    ndarray
        (..., q).

    Raises
    ------
    ValueError
        For a code or label outside the classes, naming its row, and where both are given.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4 (1-of-K coding).

    Examples
    --------
    >>> one_hot([2, 0], n_classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    if n_classes is not None and classes is not None:
        raise ValueError("give n_classes (y holds codes) or classes (y holds labels), not both.")
    if n_classes is not None:
        q, codes = int(n_classes), check_codes(y, int(n_classes), "y")
    else:
        known = _classes(y if classes is None else classes, given=classes is not None)
        q, codes = len(known), known.encode(y)
    Y = np.zeros((*codes.shape, q), dtype)
    np.put_along_axis(Y, codes[..., None], 1, axis=-1)
    return Y


def label_probabilities(
    y: ArrayLike,
    classes: Classes | Sequence[Any] | NDArray[Any] | None = None,
    smoothing: float = 0.0,
    *,
    n_classes: int | None = None,
) -> FloatArray:
    """Return labels as distributions over the classes, whether they come hard, soft or are to be smoothed.

    `Y = (1 - smoothing) * Y + smoothing / q`, where Y is the one-hot matrix of hard labels, or the matrix as given

    Parameters
    ----------
    y : array_like
        Hard labels (n,) with `classes` as in `one_hot`, or codes with `n_classes`; or label probabilities (n, q), each
        row a distribution.
    smoothing : float, default 0.0
        The share, 0 to 1, that is spread evenly over all classes.

    Returns
    -------
    ndarray
        (n, q); a float32 matrix stays float32.

    Raises
    ------
    ValueError
        For rows that do not sum to 1 (they are never renormalised: that would change what was said), for a number of
        columns that is not that of the classes, and for a smoothing outside 0..1.

    References
    ----------
    Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception architecture" (2016), section 7.

    Examples
    --------
    >>> label_probabilities(["cat", "dog"], smoothing=0.5)
    array([[0.75, 0.25],
           [0.25, 0.75]])
    """
    if not 0 <= smoothing <= 1:
        raise ValueError(f"smoothing is {smoothing}, but it must be a share between 0 and 1.")
    shape = np.shape(y)
    if len(shape) < 2:
        Y = one_hot(y, n_classes, classes=classes)
    elif shape[1] == 1 and not np.all(np.asarray(y) == 1):
        raise ValueError(f"y has shape {shape}: for one hard label a row, ravel it to shape ({shape[0]},).")
    else:
        Y = check_probabilities(y, name="y")
        q = n_classes if classes is None else len(_classes(classes, given=True))
        if q is not None and q != Y.shape[-1]:
            raise ValueError(f"y has {Y.shape[-1]} columns of label probabilities, but there are {q} classes.")
    return Y if smoothing == 0 else (1 - smoothing) * Y + smoothing / Y.shape[-1]


def check_codes(codes: ArrayLike, q: int, name: str) -> IntArray:
    """Return codes as integers.

    Returns
    -------
    ndarray
        Codes as integers, or raise a `ValueError` that names the first that does not lie in 0 .. q - 1.

    Raises
    ------
    ValueError
        Naming the first code that is not in 0 .. q - 1.

    Examples
    --------
    >>> check_codes([0, 2], 3, "y")
    array([0, 2])
    """
    if q < 1:
        raise ValueError(f"the number of classes is {q}, but there must be at least one.")
    a = np.asarray(codes)
    if a.size == 0 and a.dtype.kind == "f":  # an empty list has no integers to show
        a = a.astype(np.intp)
    if a.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must hold integer codes from 0 to {q - 1}, but its dtype is {a.dtype}. Turn labels of "
            "another kind into codes with Classes(...).encode."
        )
    bad = (a < 0) | (a >= q)  # Python integers on the right, so that unsigned codes cannot wrap
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f" (row {index[0] if len(index) == 1 else index})" if index else ""
        raise ValueError(f"{name} holds the code {a[index]}{where}, but with {q} classes codes run from 0 to {q - 1}.")
    return a.astype(np.intp, copy=False)


def codes_among(y: ArrayLike, classes: Any) -> NDArray[Any]:
    """Codes of labels that may have come as codes already, where it is certain which they are.

    Parameters
    ----------
    y : array_like
        (n,), labels among `classes` (q,), or codes 0 .. q - 1. Integers that are both at once and would mean different
        classes raise `ValueError`. What is neither is given back as it is, for the caller's own check.

    Returns
    -------
    ndarray
        Codes of labels that may have come as codes already, where it is certain which they are.

    Raises
    ------
    ValueError
        If a label is not a class, or labels may be both codes and classes.

    Examples
    --------
    >>> codes_among(["b", "a"], ["a", "b"]).tolist(), codes_among([0, 1], ["a", "b"]).tolist()
    ([1, 0], [0, 1])
    >>> codes_among([1, 2], [1, 2, 3])
    Traceback (most recent call last):
    ...
    ValueError: y holds integers that are both labels of the classes 1, 2, 3 and codes 0 to 2, which would mean different classes. Give codes, Classes.of(classes).encode(y), and the classes as text.
    """  # noqa: E501
    try:
        known = classes if isinstance(classes, Classes) else Classes.of(list(classes))
        values = label_array(y, "y")
    except ValueError:
        return np.asarray(y)
    places = known.find(values)
    are_labels = bool((places >= 0).all())
    are_codes = values.dtype.kind in "iu" and bool(((values >= 0) & (values < len(known))).all())
    if are_labels and are_codes and not np.array_equal(places, values):
        raise ValueError(
            f"y holds integers that are both labels of the classes {known.listing()} and codes 0 to {len(known) - 1}, "
            "which would mean different classes. Give codes, Classes.of(classes).encode(y), and the classes as text."
        )
    return np.asarray(places if are_labels else values)


def codes_or_probabilities(y: ArrayLike, P: FloatArray) -> NDArray[Any]:
    """Check labels that belong to the rows of P (..., q): codes of shape (...), or probabilities as P has.

    Returns
    -------
    ndarray
        Check labels that belong to the rows of P (..., q): codes of shape (...), or probabilities as P has.

    Raises
    ------
    ValueError
        If the labels fit neither form.

    Examples
    --------
    >>> codes_or_probabilities([1], np.array([[0.5, 0.5]]))
    array([1])
    """
    shape = np.shape(y)
    if shape == P.shape[:-1]:
        return check_codes(y, P.shape[-1], "y")
    if shape == P.shape:
        return check_probabilities(y, name="y")
    raise ValueError(
        f"y has shape {shape}, which does not fit {P.shape}, the shape of the predictions: give one code a "
        f"row (shape {P.shape[:-1]}) or label probabilities (shape {P.shape})."
    )


def _classes(labels: Any, *, given: bool) -> Classes:
    if isinstance(labels, Classes):
        return labels
    return Classes.of(labels) if given else Classes(labels)


def _plain(values: NDArray[Any]) -> list[Any]:
    """Return labels as Python objects that compare by value; dates stay NumPy's own, whose units compare exactly."""
    return list(values) if values.dtype.kind in "Mm" else values.tolist()
