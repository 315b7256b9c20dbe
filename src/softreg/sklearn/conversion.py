"""Fitted models of scikit-learn as models of softreg and back, without a fit."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import linear_model as scikit_learn
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from softreg.models.estimators.regression import SoftmaxRegression
from softreg.models.selection.cv_estimator import SoftmaxRegressionCV
from softreg.models.serialization.regression_state import set_fitted_attributes
from softreg.probability.label_arrays import as_float, is_real, spell
from softreg.sklearn.binary_weights import LinearWeights, fitted_weights, log_odds_weights, softmax_weights
from softreg.sklearn.logistic_regression import LogisticRegression
from softreg.sklearn.parameters import DEPRECATES_PENALTY, UNSET
from softreg.sklearn.penalty_scale import PenaltyScale, inverse_total, penalty_name, to_scikit_learn, to_softreg

SHARES = {"l2": 0.0, "l1": 1.0, "elasticnet": None}
"""Share of the l1 part in the penalties that both packages have; None for the parameter `l1_ratio`."""
REASONS = {
    "SGDClassifier": "its multiclass model is one-versus-rest, whose probabilities are no softmax",
    "OneVsRestClassifier": "its probabilities are those of separate models, divided by their sum, and no softmax",
    "CalibratedClassifierCV": "its probabilities are no softmax of linear logits; convert the model that it calibrates",
    "GridSearchCV": "it is a search; convert its best_estimator_",
    "RandomizedSearchCV": "it is a search; convert its best_estimator_",
}
"""Why classifiers that hold logistic regressions are not converted."""


def from_sklearn(model: Any, *, total_weight: float | None = None) -> SoftmaxRegression:
    """Convert a fitted logistic regression of scikit-learn to a `SoftmaxRegression` with equal probabilities.

    No fit takes place: the result has no `solution_` and so no certificate, except that of a
    `softreg.sklearn.LogisticRegression`, which keeps its own. The weights `w` of two classes become `-w / 2` and
    `w / 2`. The scaling of a `StandardScaler` becomes part of the weights, so that the result takes the rows that the
    pipeline takes.

    Parameters
    ----------
    model : sklearn.linear_model.LogisticRegression or LogisticRegressionCV, or Pipeline
        The fitted model, or a pipeline of `StandardScaler` and such a model.
    total_weight : float, optional
        Number of rows of its fit, which scikit-learn does not store; with weights the sum of these, class weights
        included. With it, `strength`,
        `penalty` and `l1_ratio` are those of the model; otherwise they have their defaults.

    Returns
    -------
    SoftmaxRegression
        A fitted model, with the labels, in their dtype, and the names of features of `model`.

    Raises
    ------
    TypeError
        If `model` is of a kind whose probabilities are not a softmax of linear logits.
    ValueError
        If `model` is one-versus-rest, its weights are not finite, or its penalty applies to scaled columns while
        `total_weight` is given.
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["no", "no", "yes", "yes"]
    >>> fitted = LogisticRegression(C=2).fit(X, y)
    >>> model = from_sklearn(fitted, total_weight=4)
    >>> bool(np.allclose(model.predict_proba(X), fitted.predict_proba(X), rtol=1e-15)), model.strength
    (True, 0.25)
    """
    if isinstance(model, Pipeline):
        return _from_pipeline(model, total_weight)
    _check_convertible(model)
    if isinstance(model, LogisticRegression) and _is_unchanged(model):
        certified: SoftmaxRegression = copy.deepcopy(model.regression_)
        return certified
    parameters = {} if total_weight is None else _parameters_of(model, _checked_total(total_weight))
    converted = SoftmaxRegression(
        fit_intercept=bool(model.fit_intercept), class_weight=copy.copy(model.class_weight), **parameters
    )
    return _fitted(converted, model, softmax_weights(fitted_weights(model)))


def to_sklearn(model: Any, *, total_weight: float | None = None) -> Any:
    """Convert a fitted `SoftmaxRegression` to a `LogisticRegression` of scikit-learn with equal probabilities.

    Two classes get the weights of the log-odds, `w = W_1 - W_0`, with shape (1, d).

    Parameters
    ----------
    model : SoftmaxRegression or SoftmaxRegressionCV
        The fitted model.
    total_weight : float, optional
        Number of rows of its fit, which softreg does not store; with weights the sum of these, class weights included.
        With it, `C` and `l1_ratio`
        are those with which scikit-learn's fit of the same rows has the same optimum; otherwise they have their
        defaults.

    Returns
    -------
    sklearn.linear_model.LogisticRegression
        A fitted model. `n_iter_` is that of the fit of softreg.

    Raises
    ------
    TypeError
        If `model` is no `SoftmaxRegression` or `SoftmaxRegressionCV`.
    ValueError
        If the model was fitted with an offset, or `total_weight` is given and scikit-learn has no such penalty.
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.

    Examples
    --------
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["no", "no", "yes", "yes"]
    >>> model = SoftmaxRegression(0.25).fit(X, y)
    >>> fitted = to_sklearn(model, total_weight=4)
    >>> fitted.coef_.shape, fitted.C, fitted.predict([[3.0]]).tolist()
    ((1, 1), 2.0, ['yes'])
    """
    if not isinstance(model, SoftmaxRegression | SoftmaxRegressionCV):
        raise TypeError(_no_softmax_regression(model))
    check_is_fitted(model, "coef_")
    if model.has_offset_:
        raise ValueError("the model was fitted with an offset, which LogisticRegression of scikit-learn does not have.")
    parameters = {} if total_weight is None else _scikit_parameters(model, _checked_total(total_weight))
    converted = scikit_learn.LogisticRegression(
        fit_intercept=bool(model.fit_intercept), class_weight=copy.copy(model.class_weight), **parameters
    )
    rows = log_odds_weights(LinearWeights(model.coef_.copy(), model.intercept_.copy()))
    converted.classes_, converted.coef_, converted.intercept_ = model.classes_.copy(), rows.coef, rows.intercept
    converted.n_features_in_, converted.n_iter_ = model.n_features_in_, np.array([model.n_iter_], dtype=np.int32)
    if hasattr(model, "feature_names_in_"):
        converted.feature_names_in_ = model.feature_names_in_.copy()
    return converted


# --- from scikit-learn ----------------------------------------------------------------------------------------------


def _check_convertible(model: Any) -> None:
    """Raise an error for a model whose probabilities are not a softmax of linear logits."""
    if not isinstance(model, scikit_learn.LogisticRegression):
        name = "a class" if isinstance(model, type) else type(model).__name__
        reason = next((REASONS[kind.__name__] for kind in type(model).__mro__ if kind.__name__ in REASONS), None)
        raise TypeError(
            f"model is {name}{f': {reason}' if reason else ''}. from_sklearn takes a fitted LogisticRegression or "
            "LogisticRegressionCV, or a Pipeline of StandardScaler and one of these."
        )
    check_is_fitted(model)
    several = len(model.classes_) > 2
    scheme = getattr(model, "multi_class", "auto")  # of versions before 1.8
    if several and (model.solver == "liblinear" or scheme == "ovr"):
        raise ValueError(
            "model is a one-versus-rest model, fitted class by class, whose probabilities are no softmax of its "
            "logits; fit it with another solver or multi_class."
        )
    if not several and scheme == "multinomial":
        raise ValueError(
            "model was fitted with multi_class='multinomial' and two classes, whose log-odds are twice its decision "
            "function; fit it without multi_class."
        )


def _from_pipeline(pipeline: Pipeline, total_weight: float | None) -> SoftmaxRegression:
    """Return the model of the last step with the scaling of the steps before it in its weights."""
    *scalers, (_, last) = [(name, step) for name, step in pipeline.steps if step not in (None, "passthrough")]
    for name, step in scalers:
        if type(step) is not StandardScaler:
            raise TypeError(
                f"the step {name!r} of the pipeline is {type(step).__name__}. from_sklearn takes steps of "
                "StandardScaler before the LogisticRegression; convert the last step and keep the others in a Pipeline."
            )
        check_is_fitted(step)
    if scalers and total_weight is not None:
        raise ValueError(
            "the penalty of the pipeline applies to scaled columns, for which SoftmaxRegression has no strength; leave "
            "total_weight out, or convert the last step."
        )
    model = from_sklearn(last, total_weight=total_weight)
    if not scalers:
        return model
    coef, intercept = model.coef_.copy(), model.intercept_.copy()
    for _, scaler in reversed(scalers):
        coef = coef / scaler.scale_ if scaler.with_std else coef
        intercept = intercept - coef @ scaler.mean_ if scaler.with_mean else intercept
    unscaled = SoftmaxRegression(fit_intercept=model.fit_intercept, class_weight=model.class_weight)
    return _fitted(unscaled, scalers[0][1], LinearWeights(coef, intercept), model)


def _fitted(
    converted: SoftmaxRegression, features: Any, weights: LinearWeights, source: Any = None
) -> SoftmaxRegression:
    """Set the fitted attributes of a converted model."""
    source = features if source is None else source
    names = getattr(features, "feature_names_in_", None)
    metadata = {
        "classes": None,
        "feature_names": None if names is None else [str(name) for name in names],
        "n_iter": int(np.max(np.asarray(source.n_iter_), initial=0)),
        "solution": None,
    }
    arrays = {"coef": weights.coef, "intercept": weights.intercept, "classes": np.asarray(source.classes_)}
    set_fitted_attributes(converted, arrays, metadata)
    return converted


def _is_unchanged(model: LogisticRegression) -> bool:
    """Return True if the weights of a drop-in are those of the fit."""
    if sp.issparse(model.coef_):
        return False
    fitted = log_odds_weights(LinearWeights(model.regression_.coef_, model.regression_.intercept_))
    return (
        np.array_equal(model.coef_, fitted.coef.astype(model.coef_.dtype))
        and np.array_equal(model.intercept_, fitted.intercept.astype(model.intercept_.dtype))
        and np.array_equal(model.classes_, model.regression_.classes_)
    )


def _parameters_of(model: Any, total_weight: float) -> dict[str, Any]:
    """Return the penalty of a model of scikit-learn as parameters of `SoftmaxRegression`."""
    C = float(np.ravel(model.C_)[0]) if hasattr(model, "C_") else float(model.C)
    penalty = getattr(model, "penalty", UNSET)
    ratio = getattr(model, "l1_ratio_", getattr(model, "l1_ratio", None))
    ratio = 0.0 if ratio is None else float(np.ravel(ratio)[0] or 0.0)
    if penalty != UNSET and penalty != "elasticnet":
        ratio = 1.0 if penalty == "l1" else 0.0
    if penalty is None or np.isinf(C):
        return {"strength": 0.0, "penalty": None}
    scale = to_softreg(inverse_total(C, None, 1) / total_weight, ratio, len(model.classes_))
    name = penalty_name(scale)
    return {
        "strength": scale.strength,
        "penalty": name,
        "l1_ratio": scale.l1_ratio if name == "elasticnet" else 0.0,
    }


# --- to scikit-learn ------------------------------------------------------------------------------------------------


def _scikit_parameters(model: Any, total_weight: float) -> dict[str, Any]:
    """Return the penalty of a model of softreg as parameters of scikit-learn."""
    if model.penalty is None:
        return {"C": np.inf}
    has_terms = any(getattr(model, name, None) is not None for name in ("penalty_factors", "bounds", "prior"))
    is_relaxed = getattr(model, "relaxed_", 1.0) != 1
    if model.penalty not in SHARES or has_terms or is_relaxed:
        what = "bounds, factors or a prior of its weights" if has_terms else f"penalty={model.penalty!r}"
        what = "a relaxed penalty" if is_relaxed else what
        raise ValueError(f"the model has {what}, and scikit-learn has no C for that; leave total_weight out.")
    share = SHARES[model.penalty]
    strength = getattr(model, "strength_", getattr(model, "strength", 0.0))
    ratio = getattr(model, "l1_ratio_", model.l1_ratio) if share is None else share
    inverse = to_scikit_learn(PenaltyScale(float(strength), float(ratio)), len(model.classes_), total_weight)
    parameters: dict[str, Any] = {"C": inverse.C}
    if inverse.l1_ratio > 0:
        parameters |= {"l1_ratio": inverse.l1_ratio, "solver": "saga"}
        if not DEPRECATES_PENALTY:
            parameters["penalty"] = "elasticnet"
    return parameters


def _no_softmax_regression(model: Any) -> str:
    """Return the message about a model that `to_sklearn` does not take."""
    name = "a class" if isinstance(model, type) else type(model).__name__
    text = f"model is {name}; to_sklearn takes a fitted SoftmaxRegression or SoftmaxRegressionCV."
    if hasattr(model, "encoder_") or name == "TableClassifier":
        text += (
            " A TableClassifier reads tables, which LogisticRegression does not: to_sklearn(model.model_) predicts for "
            "rows that its encoder has encoded."
        )
    return text


def _checked_total(total_weight: float) -> float:
    """Return the sum of row weights as a float; raise `ValueError` if it is none."""
    if not is_real(total_weight) or not 0 < as_float(total_weight) < np.inf:
        raise ValueError(f"total_weight={spell(total_weight)} must be a finite number > 0: the sum of the row weights.")
    return as_float(total_weight)
