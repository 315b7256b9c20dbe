"""Base class of fitted linear classifiers: logits, probabilities, classes and accuracy of new rows."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from softreg.exportable import Exportable
from softreg.models.class_blocks.logit_blocks import float32_suffices
from softreg.models.class_blocks.top_classes import TopClasses
from softreg.models.estimators.convergence_messages import convergence_message
from softreg.models.estimators.streamed_predictions import log_probabilities_of, streamed_codes, top_k
from softreg.models.inputs.batches import iter_batches, iter_features
from softreg.models.inputs.cluster.dask_collections import is_dask_collection, lazy_accuracy, lazy_prediction
from softreg.models.inputs.features import is_batch_source, validate_features
from softreg.models.inputs.finite_values import check_finite
from softreg.models.inputs.labels import check_lengths, hard_codes
from softreg.models.inputs.offsets import check_offset_is_given, offset_array
from softreg.models.inputs.sample_and_class_weights import rescale_extreme_weights, sample_weights
from softreg.models.inputs.tensors import check_no_overflow, classes_like, tensor_scores
from softreg.optimize import Solution
from softreg.probability import Classes, log_softmax, softmax
from softreg.rows import scores
from softreg.rows.gpu.interop import is_tensor, like, to_numpy, to_torch
from softreg.typing import Array, Float64Array

THREADED_SIZE = 1 << 16
"""Numbers of X from which compiled kernels and threads are used; a single product is faster for fewer."""
CONVERTED_ROWS = 8192
"""float32 rows that are converted to float64 at a time."""


class LinearClassifier(Exportable, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Base class of classifiers with linear logits, whatever fitted their weights.

    Attributes
    ----------
    coef_ : ndarray of shape (q, d)
        Weights.
    intercept_ : ndarray of shape (q,)
        Bias of each class.
    classes_ : ndarray of shape (q,)
        The classes.
    has_offset_ : bool
        Whether the model was fitted with an offset of the logits.
    """

    coef_: Array
    intercept_: Array
    classes_: Array
    has_offset_: bool = False
    tol: float
    _posterior: Any = None
    """Posterior of a fit that kept it."""

    _column_names: Array | None = None
    """Names of the columns for messages where X has none; a table model sets them."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _set_solution(self, solution: Solution) -> None:
        """Set the fitted attributes that come from a solution."""
        self.coef_ = np.ascontiguousarray(solution.W.T)
        self.intercept_ = solution.b
        self.n_iter_ = max(1, solution.n_iter)
        self.solution_ = replace(solution, W=self.coef_.T)  # a view: weights are held once
        self._mini_batch_state = None

    def _warn_unless_converged(self, solution: Solution) -> None:
        """Give a `ConvergenceWarning` for a solution that is not within the tolerance of its minimum."""
        names = getattr(self, "feature_names_in_", self._column_names)
        message = convergence_message(solution, self.classes_, names, self.tol)
        if message is not None:
            warnings.warn(message, ConvergenceWarning, stacklevel=3)

    def _scores(self, X: Any, probabilities: bool = False, offset: Any = None) -> Any:
        """Return logits (n, q) or their softmax; many rows are computed by threads in one pass over X.

        Returns
        -------
        ndarray or torch.Tensor

        """
        check_is_fitted(self, "coef_")
        if offset is None and is_batch_source(X):
            parts = ((*batch, None, None, None)[:4] for batch in iter_batches(X))
            return np.concatenate([self._scores(part[0], probabilities, part[3]) for part in parts])
        if offset is None:
            check_offset_is_given(self, offset)
            return self._scores_without_offset(X, probabilities)
        o = self._scores_without_offset(X, probabilities=False)
        fixed = offset_array(offset, len(o), self.classes_)
        if isinstance(o, np.ndarray):
            o = o + fixed
            return np.asarray(softmax(o)) if probabilities else o
        o = o + to_torch(fixed).to(o.device, o.dtype)
        return o.softmax(1) if probabilities else o

    def _scores_without_offset(self, X: Any, probabilities: bool) -> Any:
        """Return `X W + b` (n, q) or its softmax."""
        if is_tensor(X):
            return tensor_scores(self, X, probabilities)
        if is_batch_source(X):
            return np.concatenate([self._scores_without_offset(part, probabilities) for part in iter_features(X)])
        X = validate_features(self, X, reset=False, finite=False)
        is_large = isinstance(X, np.ndarray) and X.size >= THREADED_SIZE
        if is_large and (X.dtype == np.float64 or self._float32_suffices(X)):
            with np.errstate(over="ignore"):
                W = self.coef_.astype(X.dtype, copy=False)
            computed = scores(W, self.intercept_, X, probabilities)  # None if a logit is not finite
            if computed is not None:
                return computed
        check_finite(X)
        o = self._logits(X)
        return np.asarray(softmax(o)) if probabilities else o

    def _float32_suffices(self, X: Any) -> bool:
        """Return True if float32 products of rows X (n, d), dense or CSR, keep the digits of the logits."""
        return float32_suffices(self.coef_, self.intercept_, X)

    def _logits(self, X: Any) -> Float64Array:
        """Return `X W + b` (n, q) of finite rows; raise `ValueError` for a row whose logits overflow."""
        with np.errstate(over="ignore", invalid="ignore"):
            if X.dtype == np.float32 and X.shape[0] * X.shape[1] >= THREADED_SIZE and self._float32_suffices(X):
                o = np.asarray(X @ self.coef_.T.astype(np.float32) + self.intercept_, dtype=np.float64)
                if np.isfinite(o).all():
                    return o
            if X.dtype == np.float32 and isinstance(X, np.ndarray):
                W, starts = self.coef_.T, range(0, len(X), CONVERTED_ROWS)
                parts = [X[a : a + CONVERTED_ROWS].astype(np.float64) @ W for a in starts]
                o = np.concatenate(parts) + self.intercept_
            else:
                o = np.asarray(X @ self.coef_.T + self.intercept_)
        check_no_overflow(np.isfinite(o).all(axis=1), lambda row: float(abs(X[[row]]).max()))
        return o

    def decision_function(self, X: Any, offset: Any = None) -> Any:
        """Return the logits `X W + b`.

        Parameters
        ----------
        X : array, sparse matrix, frame, tensor or batches, of n rows
            Features.
        offset : array or frame of shape (n, q) or (n,), optional
            Fixed part of the logits, as in `fit`; required if the model was fitted with one.

        Returns
        -------
        ndarray or tensor of shape (n, q) or (n,)
            Logits; for two classes the log-odds (n,) of the second, as scikit-learn's tools expect.

        Examples
        --------
        >>> from softreg import SoftmaxRegression
        >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> (model.decision_function([[0.0], [3.0]]) > 0).tolist()
        [False, True]
        """
        if is_dask_collection(X):
            return lazy_prediction(self, "decision_function", X, offset)
        o = self._scores(X, offset=offset)
        return like(o if len(self.classes_) > 2 else o[:, 1] - o[:, 0], X)

    def predict_proba(self, X: Any, offset: Any = None, *, classes: Any = None) -> Any:
        """Return the class probabilities `softmax(X W + b)`.

        Parameters
        ----------
        X : array, sparse matrix, frame, tensor or batches, of n rows
            Features.
        offset : array or frame of shape (n, q) or (n,), optional
            Fixed part of the logits, as in `fit`; required if the model was fitted with one.
        classes : array-like of shape (c,), optional
            Classes whose probabilities are returned, in this order; all by default. They are probabilities among all
            classes, computed in blocks without an array (n, q).

        Returns
        -------
        ndarray or tensor of shape (n, q) or (n, c)
            Probabilities in the order of `classes_`, or of `classes`; a row of all sums to 1. For a tensor of PyTorch,
            CuPy or JAX, a tensor on the same device, float64 if X is float64 and float32 otherwise. For an array or a
            frame of Dask, a Dask array with the same partitions, computed when it is asked for.

        Raises
        ------
        ValueError
            If X has another number or other names of features, a number that is not finite, or a logit overflows, or
            `classes` names one that is not of the model.

        Examples
        --------
        >>> from softreg import SoftmaxRegression
        >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.predict_proba([[1.5]]).round(6).tolist()
        [[0.5, 0.5]]
        >>> model.predict_proba([[1.5]], classes=["b"]).round(6).tolist()
        [[0.5]]
        """
        if classes is not None:
            return like(np.exp(log_probabilities_of(self, X, offset, classes)), X)
        if is_dask_collection(X):
            return lazy_prediction(self, "predict_proba", X, offset)
        return like(self._scores(X, probabilities=True, offset=offset), X)

    def predict_log_proba(self, X: Any, offset: Any = None, *, classes: Any = None) -> Any:
        """Return the logarithms of the class probabilities, finite wherever the logits are.

        Parameters
        ----------
        X : array, sparse matrix, frame, tensor or batches, of n rows
            Features.
        offset : array or frame of shape (n, q) or (n,), optional
            Fixed part of the logits, as in `fit`; required if the model was fitted with one.
        classes : array-like of shape (c,), optional
            Classes whose log-probabilities are returned, in this order; all by default. They are those among all
            classes, computed in blocks without an array (n, q).

        Returns
        -------
        ndarray or tensor of shape (n, q) or (n, c)
            Log-probabilities in nats.

        Raises
        ------
        ValueError
            As `predict_proba`.

        Examples
        --------
        >>> from softreg import SoftmaxRegression
        >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> bool(model.predict_log_proba([[1e6]])[0, 0] < -1e5)
        True
        """
        if classes is not None:
            return like(log_probabilities_of(self, X, offset, classes), X)
        if is_dask_collection(X):
            return lazy_prediction(self, "predict_log_proba", X, offset)
        o = self._scores(X, offset=offset)
        return like(log_softmax(o) if isinstance(o, np.ndarray) else o.log_softmax(1), X)

    def predict(self, X: Any, offset: Any = None) -> Any:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array, sparse matrix, frame, tensor or batches, of n rows
            Features.
        offset : array or frame of shape (n, q) or (n,), optional
            Fixed part of the logits, as in `fit`; required if the model was fitted with one.

        Returns
        -------
        ndarray or tensor of shape (n,)
            Classes; a tensor for tensors if the classes are numbers.

        Examples
        --------
        >>> from softreg import SoftmaxRegression
        >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.predict([[0.0], [3.0]]).tolist()
        ['a', 'b']
        """
        if is_dask_collection(X):
            return lazy_prediction(self, "predict", X, offset)
        codes = self._most_likely(X, offset)
        return classes_like(self.classes_, codes, X) if is_tensor(X) else np.asarray(self.classes_[codes])

    def _most_likely(self, X: Any, offset: Any) -> Any:
        """Return the code (n,) of the most likely class of each row; of many, without an array (n, q)."""
        if offset is None and is_batch_source(X):
            parts = ((*batch, None, None, None)[:4] for batch in iter_batches(X))
            return np.concatenate([to_numpy(self._most_likely(part[0], part[3])) for part in parts])
        check_is_fitted(self, "coef_")
        codes = streamed_codes(self, X, offset)
        return self._scores(X, offset=offset).argmax(axis=1) if codes is None else codes

    def top_k(self, X: Any, k: int = 10, offset: Any = None) -> TopClasses:
        """Return the k most likely classes of each row and their probabilities.

        Logits are computed in blocks of rows and classes, so that memory does not grow with n q.

        Parameters
        ----------
        X : array, sparse matrix, frame, tensor or batches, of n rows
            Features.
        k : int
            Number of classes; all q of a model that has fewer.
        offset : array or frame of shape (n, q) or (n,), optional
            Fixed part of the logits, as in `fit`; required if the model was fitted with one.

        Returns
        -------
        TopClasses
            Arrays (n, k) of labels and probabilities, the most likely class first; of equal probabilities the class
            that comes first in `classes_`. They are NumPy arrays for any kind of X.

        Raises
        ------
        ValueError
            If k is not an integer of at least 1, or as `predict_proba`.

        Examples
        --------
        >>> from softreg import SoftmaxRegression
        >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> top = model.top_k([[0.0]], k=2)
        >>> top.labels.tolist(), top.probabilities.round(2).tolist()
        ([['a', 'b']], [[0.95, 0.05]])
        """
        return top_k(self, X, k, offset)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, offset: Any = None) -> float:
        """Return the accuracy: the share of rows whose label is the most probable class.

        Parameters
        ----------
        X : array, sparse matrix, frame, tensor or batches, of n rows
            Features. Batches hold their labels and weights, so y and `sample_weight` are left out.
        y : array of shape (n,) or (n, q)
            Labels, or label probabilities, of which the most probable class counts. A label that is not a class of the
            model counts as an error.
        sample_weight : array of shape (n,), optional
            Weights of the rows.
        offset : array or frame of shape (n, q) or (n,), optional
            Fixed part of the logits, as in `fit`; required if the model was fitted with one.

        Returns
        -------
        float
            Weighted share of correct rows, between 0 and 1.

        Raises
        ------
        ValueError
            If the numbers of rows differ, or a batch has no labels.

        Examples
        --------
        >>> from softreg import SoftmaxRegression
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
        >>> SoftmaxRegression(0.1).fit(X, y).score(X, y)
        1.0
        """
        if is_batch_source(X):
            return self._score_batches(X)
        if is_dask_collection(X):
            return lazy_accuracy(self, X, y, sample_weight, offset)
        predicted = to_numpy(self._most_likely(X, offset))
        actual = hard_codes(y, Classes.of(self.classes_))
        check_lengths(predicted, actual)
        weight = None if sample_weight is None else rescale_extreme_weights(sample_weights(sample_weight, len(actual)))
        return float(np.average(predicted == actual, weights=weight))

    def _score_batches(self, source: Any) -> float:
        """Return the accuracy on batches (X, y, ...); raise `ValueError` for one without labels."""
        known, correct, total = Classes.of(self.classes_), 0.0, 0.0
        for X, *rest in iter_batches(source):
            if not rest:
                raise ValueError("a batch to score is (X, y) or (X, y, weight), but this one has no labels.")
            y, given_weight, offset = (*rest, None, None)[:3]
            predicted, actual = to_numpy(self._most_likely(X, offset)), hard_codes(y, known)
            check_lengths(predicted, actual)
            ones = np.ones(len(actual))
            weight = ones if given_weight is None else sample_weights(given_weight, len(actual), allow_all_zero=True)
            correct, total = correct + float(weight @ (predicted == actual)), total + float(weight.sum())
        return correct / total if total else float("nan")
