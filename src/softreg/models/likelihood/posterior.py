"""The Gaussian approximation to the posterior of a fit: its mean and precision, as prior of further rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.problem.quadratic_form import QuadraticForm
from softreg.typing import Array, Float64Array, IntArray

FULL_POSTERIOR = 1000
"""Parameters q (d + 1) up to which the precision is a full matrix (8 MB); beyond, its diagonal is kept."""
ZERO_PRECISION = 1e-10
"""Eigenvalue of a precision matrix, relative to its diagonal, below which a direction is not identified."""


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """The Gaussian approximation (Laplace's) to the posterior of the parameters of a softmax regression.

    The mean is the optimum of the fit. The precision is the Hessian of the summed loss there, plus that of the penalty
    times the sum of the row weights, plus the precision of the prior if the fit had one. A common shift of the classes
    changes no probability: where the penalty does not fix it, the precision is 0 along it.

    Parameters
    ----------
    mean : array of shape (q, d + 1)
        Weights and, last, the bias of each class.
    precision : array of shape (p, p) or (q, d + 1)
        Precision matrix, p = q (d + 1), class by class; or its diagonal, for models of more than `FULL_POSTERIOR`
        parameters.
    classes : array of shape (q,)
        The classes.
    feature_names : tuple of str or None
        Names of the d columns, if they have names.

    References
    ----------
    Spiegelhalter and Lauritzen (1990), Sequential updating of conditional probabilities on directed graphical
    structures.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    >>> posterior = SoftmaxRegression(0.1, keep_posterior=True).fit(X, y).posterior()
    >>> posterior.precision.shape, posterior.is_full
    ((4, 4), True)
    """

    mean: Float64Array
    precision: Float64Array
    classes: Array
    feature_names: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        q, k = self.mean.shape
        return f"Posterior of {q} classes and {k - 1} columns, {'full' if self.is_full else 'diagonal'} precision"

    @property
    def is_full(self) -> bool:
        """Whether the precision is a full matrix, not a diagonal."""
        return self.precision.shape != self.mean.shape

    @property
    def has_intercept(self) -> bool:
        """Whether the fit had a bias; without one, its mean and precision are 0."""
        q, k = self.mean.shape
        diagonal = np.diag(self.precision).reshape(q, k) if self.is_full else self.precision
        return bool((diagonal[:, -1] > 0).any())

    def with_class_order(self, order: IntArray) -> Posterior:
        """Return the posterior with its classes in another order (q,), given by their present positions.

        Parameters
        ----------
        order : array of int of shape (q,)
            Permutation.

        Returns
        -------
        Posterior
            The same posterior.

        Examples
        --------
        >>> posterior = Posterior(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]), np.array(["no", "yes"]))
        >>> other = posterior.with_class_order(np.array([1, 0]))
        >>> other.mean.tolist(), other.precision.tolist(), other.classes.tolist()
        ([[1.0], [0.0]], [[3.0], [2.0]], ['yes', 'no'])
        """
        precision = self.precision
        if self.is_full:
            k = self.mean.shape[1]
            at = (order[:, None] * k + np.arange(k)).ravel()
            precision = precision[np.ix_(at, at)]
        else:
            precision = precision[order]
        return Posterior(self.mean[order], precision, self.classes[order], self.feature_names)

    def covariance(self) -> Float64Array:
        """Return the covariance matrix (p, p) of the parameters relative to their mean over the classes.

        Probabilities depend on these alone. Directions that are not identified have variance 0.

        Returns
        -------
        array of shape (p, p)
            Covariance, class by class, bias last.

        Examples
        --------
        >>> posterior = Posterior(np.zeros((2, 1)), np.array([[2.0, -2.0], [-2.0, 2.0]]), np.array(["no", "yes"]))
        >>> posterior.covariance().round(3).tolist()
        [[0.125, -0.125], [-0.125, 0.125]]
        """
        q, k = self.mean.shape
        matrix = self.precision if self.is_full else np.diag(self.precision.ravel())
        # a shift that the precision leaves free is fixed, which changes nothing for the contrasts of the classes
        free = QuadraticForm(self.mean, matrix).is_invariant()
        fixed = np.kron(
            np.full((q, q), 1 / q), np.diag(np.where(free, np.diag(matrix).reshape(q, k).mean(axis=0), 0.0))
        )
        spread = np.sqrt(np.maximum(np.diag(matrix + fixed), TINY))
        values, vectors = np.linalg.eigh((matrix + fixed) / spread[:, None] / spread)
        inverse = np.where(values > ZERO_PRECISION * values.max(initial=0.0), 1 / np.maximum(values, TINY), 0.0)
        contrasts = np.kron(np.eye(q) - 1 / q, np.eye(k))
        root = contrasts @ (vectors * np.sqrt(inverse) / spread[:, None])
        return np.asarray(root @ root.T)


def posterior_from_state(
    arrays: Mapping[str, Array], classes: Array, feature_names: tuple[str, ...] | None
) -> Posterior | None:
    """Return the posterior that a model file holds, or None.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Arrays of the model file.
    classes : ndarray of shape (q,)
        Classes of the model.
    feature_names : tuple of str or None
        Names of its columns.

    Returns
    -------
    Posterior or None
        None if the file holds none.

    Raises
    ------
    ValueError
        If the arrays do not fit the model.

    Examples
    --------
    >>> posterior_from_state({}, np.array([0, 1]), None) is None
    True
    """
    if "posterior_mean" not in arrays:
        return None
    mean, precision = np.array(arrays["posterior_mean"]), np.array(arrays["posterior_precision"])
    fits = mean.ndim == 2 and len(mean) == len(classes) and precision.shape in (mean.shape, (mean.size, mean.size))
    if not fits or not (np.isfinite(mean).all() and np.isfinite(precision).all()):
        raise ValueError("mean and precision of the posterior do not fit together")
    return Posterior(mean, precision, classes, feature_names)
