"""GroupCalibrator: recalibration of probabilities by an offset for each group of rows, with partial pooling."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from softreg.models.calibration.calibrator import (
    Trial,
    check_choice,
    check_labelled,
    mass_of_zeros,
    mean_loss_reduction,
    probabilities_of,
)
from softreg.models.calibration.calibrator_state import parameters_from_json, parameters_to_json
from softreg.models.calibration.group_columns import group_columns
from softreg.models.calibration.group_offsets import GroupOffsets, fit_offsets, no_offsets
from softreg.models.calibration.group_rules import GroupRule, fit_group_rule
from softreg.models.calibration.temperature import Codes, Floats, without_zeros
from softreg.models.serialization import fields
from softreg.models.serialization.label_state import labels_from_json, labels_to_state
from softreg.models.serialization.model_file import write_model
from softreg.probability import Classes
from softreg.splits import stratified_fold_numbers
from softreg.typing import Array

DEVIATIONS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Standard deviations of the offsets of the groups that are compared by cross-validation, in nats of log-odds."""
KIND = "group calibrator"
"""Kind of the model file."""
METHODS = ("none", "pooled", "groups")
"""Recalibrations in order of flexibility."""


class GroupCalibrator(BaseEstimator):  # type: ignore[misc]
    """Recalibrate the probabilities of any model in each group of rows, with partial pooling.

    The recalibrated probabilities of row i, which is in group g_c of column c, are `softmax(log P_i + b + sum_c u_cg)`.
    The offsets minimise the convex objective::

        sum_i CE(y_i, softmax(log P_i + b + sum_c u_cg)) + sum_cg |u_cg|^2 / (2 s^2) + |b|^2 / (2 * 3^2)

    as a softmax regression with the fixed part log P and a column of 0 and 1 for each group, whose minimum is
    certified. Groups of few rows are shrunk to the offset b of all rows (random intercepts of standard deviation s;
    partial pooling). Groups that were not seen in `fit` have b. The standard deviation s is chosen by
    cross-validation.

    Fit it to probabilities of rows that the model was **not** trained on. It is never used without evidence: the shared
    offset replaces the probabilities as they are, and the offsets of groups replace the shared one, only if the mean
    log loss of out-of-fold rows is lower by more than `caution` standard errors of the difference, as in `Calibrator`.

    Columns of numbers and dates with more than 24 distinct values are cut to five intervals of about equal numbers of
    rows; give numbers that are names, such as those of shops, as text. Missing values are a group of their own.

    Parameters
    ----------
    method : {"auto", "none", "pooled", "groups"}, default "auto"
        "none" leaves the probabilities as they are, "pooled" has the shared offset alone, "groups" those of the groups
        too; "auto" chooses by cross-validation.
    caution : float, default 3.0
        Standard errors by which a more flexible method must reduce the log loss; at least 0.
    folds : int, default 5
        Number of folds of the cross-validation; at least 2.
    seed : int, default 0
        Seed of the assignment of rows to folds.

    Attributes
    ----------
    classes_ : ndarray of shape (q,)
        Class labels, in the order of the columns of P.
    method_ : str
        The method in use.
    trials_ : tuple of Trial
        The methods that were compared.
    offsets_ : GroupOffsets
        The fitted offsets: `offsets_.shared` (q,) and `offsets_.groups`, one array (G, q) for each column.
    rules_ : tuple of GroupRule
        The groups of each column; `rules_[0].names` are those of the first.
    deviation_ : float
        The standard deviation s of the offsets of the groups; 0 where these are not used.
    gap_ : float
        Certified distance of the objective, divided by the number of rows, to its minimum, in nats.
    floor_ : float
        Probability that the zeros of a row share, by the rule of `Calibrator`.

    References
    ----------
    Gelman and Hill, "Data Analysis Using Regression and Multilevel/Hierarchical Models" (2007), for partial pooling.

    Examples
    --------
    >>> from softreg import softmax
    >>> random = np.random.default_rng(0)
    >>> P = random.dirichlet([2, 2], size=3000)
    >>> region = random.choice(["north", "south", "west"], size=3000)
    >>> truth = softmax(np.log(P) + np.where(region == "south", 1.0, 0.0)[:, None] * [0, 1])
    >>> y = (random.random(3000) < truth[:, 1]).astype(int)
    >>> calibrator = GroupCalibrator().fit(P, y, {"region": region})
    >>> calibrator.method_, calibrator.rules_[0].names
    ('groups', ('north', 'south', 'west'))
    >>> calibrator.predict_proba([[0.5, 0.5]] * 2, {"region": ["south", "north"]}).round(1)
    array([[0.3, 0.7],
           [0.5, 0.5]])
    """

    def __init__(self, method: str = "auto", *, caution: float = 3.0, folds: int = 5, seed: int = 0) -> None:
        self.method = method
        self.caution = caution
        self.folds = folds
        self.seed = seed

    def fit(self, P: ArrayLike, y: Any, groups: Any, classes: Any = None) -> GroupCalibrator:
        """Fit the offsets to probabilities, labels and groups.

        Parameters
        ----------
        P : array_like of shape (n, q)
            Probabilities of rows that the model was not trained on.
        y : array_like of shape (n,)
            Hard labels.
        groups : mapping of str to array_like, data frame, series, or array_like of shape (n,) or (n, c)
            Columns that divide the rows into groups; the offsets of several columns are added.
        classes : array_like of shape (q,), optional
            Class of each column of P, as in `Calibrator.fit`.

        Returns
        -------
        GroupCalibrator
            The fitted calibrator itself.

        Raises
        ------
        ValueError
            If a row of P is not a distribution, a label is not a class, a column of groups has another number of rows,
            or a parameter is outside its range.
        """
        check_choice(self.method, METHODS, self.caution, self.folds)
        P, named, y = check_labelled(P, y, classes, least=self.folds)
        columns = group_columns(groups, len(P), "groups")
        self.rules_ = tuple(fit_group_rule(column, name) for name, column in columns.items())
        codes = tuple(rule.codes(column) for rule, column in zip(self.rules_, columns.values(), strict=True))
        self.floor_ = mass_of_zeros(P, y)
        L = np.log(without_zeros(P, self.floor_))
        sizes = tuple(len(rule.names) for rule in self.rules_)
        self.trials_, self.deviation_ = self._compare(L, y, codes, sizes)
        self.method_ = [t.name for t in self.trials_ if t.kept][-1] if self.method == "auto" else self.method
        self.deviation_ = self.deviation_ if self.method_ == "groups" else 0.0
        self.offsets_, self.gap_ = no_offsets(P.shape[1], sizes), 0.0
        if self.method_ != "none":
            self.offsets_, solution = fit_offsets(L, y, codes, sizes, self.deviation_)
            self.gap_ = float(solution.gap)
        self.classes_ = named.labels
        return self

    def _compare(
        self, L: Floats, y: Codes, codes: tuple[Codes, ...], sizes: tuple[int, ...]
    ) -> tuple[tuple[Trial, ...], float]:
        """Return the trials of the methods, and the standard deviation of least log loss on out-of-fold rows."""
        fold = stratified_fold_numbers(y, self.folds, self.seed)
        losses = np.empty((2 + len(DEVIATIONS), len(y)))
        losses[0] = no_offsets(L.shape[1], sizes).losses(L, codes, y)
        for k in np.unique(fold):
            inside, rest = fold == k, fold != k
            some, others = (tuple(code[rows] for code in codes) for rows in (rest, inside))
            for j, deviation in enumerate((0.0, *DEVIATIONS), start=1):
                offsets, _ = fit_offsets(L[rest], y[rest], some, sizes, deviation)
                losses[j, inside] = offsets.losses(L[inside], others, y[inside])
        chosen = int(losses[2:].mean(axis=1).argmin())
        best, trials = losses[0], [Trial("none", float(losses[0].mean()), 0.0, 0.0, True)]
        for name, loss in (("pooled", losses[1]), ("groups", losses[2 + chosen])):
            gain, error = mean_loss_reduction(best, loss)
            kept = gain > self.caution * error
            trials.append(Trial(name, float(loss.mean()), gain, error, kept))
            best = loss if kept else best
        return tuple(trials), DEVIATIONS[chosen]

    def predict_proba(self, P: ArrayLike, groups: Any) -> NDArray[np.float64]:
        """Return recalibrated probabilities of new rows.

        Parameters
        ----------
        P : array_like of shape (n, q)
            Probabilities of the new rows.
        groups : mapping of str to array_like, data frame, series, or array_like of shape (n,) or (n, c)
            Their values of the columns of `fit`. A group that was not seen has the shared offset.

        Returns
        -------
        ndarray of shape (n, q)
            Recalibrated probabilities in float64.

        Raises
        ------
        ValueError
            If a row of P is not a distribution over the classes of `fit`, or a column of groups is missing.
        """
        check_is_fitted(self, "offsets_")
        P = probabilities_of(P, len(self.classes_))
        columns = group_columns(groups, len(P), "groups")
        names = [rule.column for rule in self.rules_]
        if len(names) == len(columns) == 1:
            columns = {names[0]: next(iter(columns.values()))}
        missing = [name for name in names if name not in columns]
        if missing:
            raise ValueError(
                f"groups lacks the column {missing[0]!r}: the offsets were fitted to {', '.join(map(repr, names))}."
            )
        positive = without_zeros(P, self.floor_)
        if self.method_ == "none":
            return positive
        return self.offsets_.apply(np.log(positive), [rule.codes(columns[rule.column]) for rule in self.rules_])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the calibrator to a file of numbers and JSON, which `softreg.load` reads.

        Parameters
        ----------
        path : path
            The file; it is written completely or not at all.

        Raises
        ------
        ModelFileError
            If the labels cannot be stored.
        """
        check_is_fitted(self, "offsets_")
        write_model(path, KIND, *self.to_state())

    def to_state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return the fitted calibrator as arrays and strict JSON."""
        arrays = {f"groups{c}": offsets for c, offsets in enumerate(self.offsets_.groups)}
        arrays |= {"shared": self.offsets_.shared}
        classes = labels_to_state("classes", self.classes_, arrays)
        return arrays, {
            "parameters": parameters_to_json(self.get_params()),
            "classes": classes,
            "rules": [rule.to_json() for rule in self.rules_],
            "method": self.method_,
            "trials": [[t.name, t.log_loss, t.gain, t.error, t.kept] for t in self.trials_ if np.isfinite(t.log_loss)],
            **{name: float(getattr(self, f"{name}_")) for name in ("deviation", "gap", "floor")},
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> GroupCalibrator:
        """Return the calibrator that `to_state` described; raise `ValueError` where its parts do not match."""
        self = cls(**parameters_from_json(fields.mapping(metadata, "parameters")))
        check_choice(self.method, METHODS, self.caution, self.folds)
        stored = metadata["classes"]
        labels = np.array(arrays["classes"]) if stored is None else labels_from_json(stored)
        self.classes_ = Classes.of(labels).labels
        self.rules_ = tuple(GroupRule.from_json(rule) for rule in fields.mappings(metadata, "rules"))
        shared = np.array(arrays["shared"], dtype=np.float64)
        groups = tuple(np.array(arrays[f"groups{c}"], dtype=np.float64) for c in range(len(self.rules_)))
        fit = shared.shape == self.classes_.shape and all(
            offsets.shape == (len(rule.names), len(shared)) for offsets, rule in zip(groups, self.rules_, strict=True)
        )
        self.method_ = fields.text(metadata, "method")
        if not fit or not self.rules_ or self.method_ not in METHODS:
            raise ValueError("offsets, groups and classes do not fit together")
        self.offsets_ = GroupOffsets(shared, groups)
        self.trials_ = tuple(
            Trial(str(name), float(loss), float(gain), float(error), bool(kept))
            for name, loss, gain, error, kept in metadata["trials"]
        )
        self.deviation_, self.gap_ = (fields.number(metadata, name) for name in ("deviation", "gap"))
        self.floor_ = fields.number(metadata, "floor", positive=True)
        return self
