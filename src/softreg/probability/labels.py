"""Classes and codes of labels, and label probabilities: hard (one-hot), soft or smoothed.

A label is the user's value ("cat", 7, True). Its code is its position among the classes (0, 1, 2, ...). Its label
probabilities are the row (1, 0, 0) or, for a soft label, any distribution over the classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from softreg.probability.check_distributions import check_probabilities
from softreg.probability.label_arrays import above, distinct, label_array, span, spell
from softreg.typing import Array, FloatArray, IntArray


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Classes:
    """The classes of a problem: a one-to-one map between labels and the codes 0 to q - 1.

    `Classes(y)` are the labels in y, sorted as by `numpy.unique`; `Classes.of(labels)` are known classes in the given
    order. Labels keep their kind: text, integers, booleans, dates, objects that can be sorted. Floats are labels only
    if they are whole numbers.

    Parameters
    ----------
    y : array_like of shape (n,)
        Labels.

    Attributes
    ----------
    labels : ndarray of shape (q,)
        The classes, read-only.

    Raises
    ------
    ValueError
        For missing labels (None, nan, NaT, NA), for numbers such as 1.7 (a regression target), for text mixed with
        numbers, and for no label at all; the message names the row.

    References
    ----------
    Stevens, "On the theory of scales of measurement" (1946), for the nominal scale.

    Examples
    --------
    >>> classes = Classes(["dog", "cat", "dog"])
    >>> classes.encode(["cat", "dog"]), classes.decode([1, 0]), len(classes)
    (array([0, 1]), array(['dog', 'cat'], dtype='<U3'), 2)
    """

    labels: Array

    def __init__(self, y: ArrayLike) -> None:
        values = label_array(y, "y")
        try:
            self._set_labels(distinct(values))
        except TypeError as error:
            raise ValueError(f"the labels cannot be sorted ({error}); use Classes.of to give their order.") from error

    @classmethod
    def with_codes(cls, y: ArrayLike) -> tuple[Classes, IntArray]:
        """Return the classes of labels with their codes: `Classes(y)` and its `encode(y)`, in less time.

        Parameters
        ----------
        y : array_like of shape (n,)
            Labels.

        Returns
        -------
        classes : Classes
            The classes.
        codes : ndarray of int of shape (n,)
            The code of each label.

        Raises
        ------
        ValueError
            As the class does.

        Examples
        --------
        >>> classes, codes = Classes.with_codes([7, 3, 7])
        >>> classes.labels, codes
        (array([3, 7]), array([1, 0, 1]))
        """
        values = label_array(y, "y")
        bounds = span(values)
        if bounds is None:
            classes = cls(values)
            return classes, classes.encode(values)
        places = above(values, bounds[0])
        found = np.bincount(places) > 0
        self = cls.__new__(cls)
        self._set_labels(found.nonzero()[0].astype(values.dtype) + values.dtype.type(bounds[0]))
        return self, (found.cumsum(dtype=np.intp) - 1)[places]

    @classmethod
    def of(cls, labels: ArrayLike) -> Classes:
        """Return known classes in the given order, whether or not the labels of a fit contain all of them.

        Parameters
        ----------
        labels : array_like of shape (q,)
            Labels, each once.

        Returns
        -------
        Classes
            The classes.

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
        self._set_labels(values.copy())
        return self

    def _set_labels(self, labels: Array) -> None:
        """Set `labels` on the frozen object, read-only."""
        if labels.size == 0:
            raise ValueError("there is no label, so there are no classes; at least one row with a label is needed.")
        labels.flags.writeable = False
        object.__setattr__(self, "labels", labels)

    def encode(self, y: ArrayLike) -> IntArray:
        """Return the codes of the labels y: their positions among the classes.

        Parameters
        ----------
        y : array_like of shape (n,)
            Labels.

        Returns
        -------
        ndarray of int of shape (n,)
            Codes in 0 .. q - 1. Numbers match by value (2 and 2.0, at any width, signed or not), text by its exact
            characters; text never matches a number.

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
        codes = self._find(values)
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            raise ValueError(
                f"the label {spell(values[row])} (row {row}) is not among the known classes: {self.listing()}"
                ". Leave such rows out, or fit with all classes named beforehand."
            )
        return codes

    def find(self, y: ArrayLike) -> IntArray:
        """Return the codes of the labels y as `encode`, with -1 for a label that is not among the classes.

        Parameters
        ----------
        y : array_like of shape (n,)
            Labels.

        Returns
        -------
        ndarray of int of shape (n,)
            Codes in -1 .. q - 1.

        Raises
        ------
        ValueError
            For missing labels.

        Examples
        --------
        >>> Classes(["cat", "dog"]).find(["dog", "cow"])
        array([ 1, -1])
        """
        return self._find(label_array(y, "y"))

    def _find(self, values: Array) -> IntArray:
        """Return the codes of label values, -1 where they are not among the classes."""
        if values.dtype.kind == self.labels.dtype.kind and values.dtype.kind in "biufUS":
            bounds = span(self.labels)
            if bounds and len(values) and bounds[0] <= values.min() and values.max() <= bounds[1]:
                table = np.full(bounds[1] - bounds[0] + 1, -1, dtype=np.intp)  # many times as fast as a search
                table[above(self.labels, bounds[0])] = np.arange(len(self))
                return np.asarray(table[above(values, bounds[0])])
            order = np.argsort(self.labels, kind="stable")
            slot = np.searchsorted(self.labels, values, sorter=order)
            codes = order[np.minimum(slot, len(self) - 1)]
            return np.where(self.labels[codes] == values, codes, -1)
        kinds = values.dtype.kind, self.labels.dtype.kind
        if (kinds[0] in "US") != (kinds[1] in "US") and all(kind in "biufUS" for kind in kinds):
            return np.full(len(values), -1, dtype=np.intp)  # text never matches a number
        # Python compares any two kinds exactly; NumPy would convert to float64
        known = {label: code for code, label in enumerate(_plain(self.labels))}
        return np.fromiter((known.get(v, -1) for v in _plain(values)), dtype=np.intp, count=len(values))

    def decode(self, codes: ArrayLike) -> Array:
        """Return the labels of codes.

        Parameters
        ----------
        codes : array_like of int
            Codes in 0 .. q - 1, any shape.

        Returns
        -------
        ndarray
            Labels in the shape of `codes` and the dtype of the classes.

        Raises
        ------
        ValueError
            For another number, naming its position. A rejected row (-1, from `reject`) has no label and is handled by
            the caller.

        Examples
        --------
        >>> Classes.of([3, 7]).decode([1, 1, 0])
        array([7, 7, 3])
        """
        return self.labels[check_codes(codes, len(self), "codes")]

    def listing(self, limit: int = 10) -> str:
        """Return the first classes as text for a message, and the number of the others.

        Parameters
        ----------
        limit : int, default 10
            Largest number of classes that are written out.

        Returns
        -------
        str
            The text.

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
    classes: Classes | Sequence[Any] | Array | None = None,
    dtype: DTypeLike = np.float64,
) -> FloatArray:
    """Return hard labels as rows of a matrix: 1 at the class of the label, 0 elsewhere.

    `one_hot(y)_ik = 1 if y_i is class k, else 0`

    Parameters
    ----------
    y : array_like of shape (...)
        Codes 0 .. n_classes - 1 of any shape with `n_classes`, else labels (n,).
    n_classes : int, optional
        Number of classes; `y` then holds codes.
    classes : Classes or array_like of shape (q,), optional
        Classes in the order of the columns. Without `classes` and `n_classes`, they are the labels in y, sorted.
    dtype : dtype, default float64
        Dtype of the result.

    Returns
    -------
    ndarray of shape (..., q)
        The one-hot matrix.

    Raises
    ------
    ValueError
        For a code or label outside the classes, naming its row, and where both `n_classes` and `classes` are given.

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
    classes: Classes | Sequence[Any] | Array | None = None,
    smoothing: float = 0.0,
    *,
    n_classes: int | None = None,
) -> FloatArray:
    """Return hard or soft labels as distributions over the classes, optionally smoothed.

    `Y = (1 - smoothing) * Y + smoothing / q`, where Y is the one-hot matrix of hard labels, or the matrix as given

    Parameters
    ----------
    y : array_like of shape (n,) or (n, q)
        Hard labels (n,) with `classes` as in `one_hot`, or codes with `n_classes`; or label probabilities (n, q).
    classes : Classes or array_like of shape (q,), optional
        Classes in the order of the columns.
    smoothing : float, default 0.0
        Share, from 0 to 1, that is spread evenly over all classes.
    n_classes : int, optional
        Number of classes; hard labels are then codes.

    Returns
    -------
    ndarray of shape (n, q)
        Label probabilities; a float32 matrix stays float32.

    Raises
    ------
    ValueError
        For rows that do not sum to 1 (they are never renormalised), for a number of columns that differs from the
        number of classes, and for a smoothing outside 0..1.

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
    """Return codes as integers if all lie in 0 .. q - 1.

    Parameters
    ----------
    codes : array_like of int
        Codes of any shape.
    q : int
        Number of classes.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    ndarray of intp
        The codes.

    Raises
    ------
    ValueError
        For another dtype, and for a code that does not lie in 0 .. q - 1; the message names the first.

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


def codes_among(y: ArrayLike, classes: Any) -> Array:
    """Return the codes of labels that may be given as labels or as codes, where this is unambiguous.

    Parameters
    ----------
    y : array_like of shape (n,)
        Labels among `classes`, or codes 0 .. q - 1.
    classes : Classes or array_like of shape (q,)
        The classes.

    Returns
    -------
    ndarray of shape (n,)
        Codes; `y` itself if it holds neither labels nor codes, for a check by the caller.

    Raises
    ------
    ValueError
        For integers that are both labels and codes, and would mean different classes.

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
    codes = known.find(values)
    are_labels = bool((codes >= 0).all())
    are_codes = values.dtype.kind in "iu" and bool(((values >= 0) & (values < len(known))).all())
    if are_labels and are_codes and not np.array_equal(codes, values):
        raise ValueError(
            f"y holds integers that are both labels of the classes {known.listing()} and codes 0 to {len(known) - 1}, "
            "which would mean different classes. Give codes, Classes.of(classes).encode(y), and the classes as text."
        )
    return np.asarray(codes if are_labels else values)


def codes_or_probabilities(y: ArrayLike, P: FloatArray) -> Array:
    """Check labels that belong to the rows of predictions P.

    Parameters
    ----------
    y : array_like of shape (...) or (..., q)
        Codes or label probabilities.
    P : ndarray of shape (..., q)
        Predictions.

    Returns
    -------
    ndarray of shape (...) or (..., q)
        Codes as integers, or label probabilities as floats.

    Raises
    ------
    ValueError
        If the labels fit neither shape, or are not valid.

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
    """Return the classes named by `labels`: in the given order, or sorted."""
    if isinstance(labels, Classes):
        return labels
    return Classes.of(labels) if given else Classes(labels)


def _plain(values: Array) -> list[Any]:
    """Return labels as Python objects that compare by value; dates stay NumPy scalars, whose units compare exactly."""
    return list(values) if values.dtype.kind in "Mm" else values.tolist()
