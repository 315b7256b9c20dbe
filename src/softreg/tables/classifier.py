"""TableClassifier: softmax regression on files and data frames with columns of mixed kinds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from softreg.models.serialization.model_file import write_model
from softreg.models.serialization.not_stored import check_was_stored
from softreg.rows.cluster.engine import Engine
from softreg.tables.columns.table_errors import (
    Names,
    TableError,
    emit_warnings,
)
from softreg.tables.encode.weighted_moments import with_weighted_moments
from softreg.tables.fit.choose_strength import fit_model, with_column_groups
from softreg.tables.fit.classifier_state import REGRESSION_PARAMETERS, classifier_from_state, classifier_state
from softreg.tables.fit.cluster.fragment_passes import FragmentPasses
from softreg.tables.fit.cluster.scan_on_cluster import check_cluster_fit, engine_context, scan_on_cluster
from softreg.tables.fit.column_roles import ColumnRoles
from softreg.tables.fit.cross_validation import CrossValidation, NumericForm
from softreg.tables.fit.inferring_classifier import InferringClassifier
from softreg.tables.fit.memory_mode import Memory
from softreg.tables.fit.numeric_forms.choose_numeric_form import fit_encoder
from softreg.tables.fit.out_of_core import BatchPasses, TrainingPasses, fit_in_batches, scan_if_large
from softreg.tables.fit.table_scan import TableScan
from softreg.tables.fit.terms.fit_terms import checked_terms, with_terms
from softreg.tables.fit.terms.fitted_parts import FittedParts, TermSample
from softreg.tables.fit.terms.term_options import Terms
from softreg.tables.fit.training_table import (
    MISSING_TARGET,
    TrainingTable,
    is_rows_argument,
    select_labelled_rows,
    training_table,
    with_default_target,
)
from softreg.tables.fit.weight_terms.column_constraints import ColumnConstraints, column_constraints
from softreg.tables.fit.weight_terms.indicator_counts import IndicatorCounts
from softreg.tables.fit.weight_terms.prior_model import PriorModel
from softreg.tables.row_selection.group_codes import group_codes
from softreg.tables.row_selection.offset_columns import Offsets, columns_by_class, read_offsets
from softreg.tables.row_selection.rare_classes import LabelRules
from softreg.tables.row_selection.time_codes import TIME_AND_GROUPS, time_codes
from softreg.tables.schema import label_types
from softreg.tables.schema.schema import infer_schema
from softreg.typing import Array


class TableClassifier(ColumnRoles, InferringClassifier):
    """Softmax regression on a table: infers the kind of each column, encodes it, fits, and predicts by column name.

    It is a scikit-learn classifier for tables: `fit(X, y)`, `score`, `clone`, `cross_val_score`, `GridSearchCV` and
    pipelines work with frames of pandas and polars, Arrow tables and arrays. A table or file with its labels in a
    column needs no y: `TableClassifier("buys").fit("customers.csv")`. Columns are named by text; numbers are names of
    the columns of an array, and of a frame whose columns are numbered.

    Parameters
    ----------
    target : str or int, optional
        Column of labels; None where `fit` receives labels or the name.
    drop : names
        Columns to leave out.
    text, category, number, date : names
        Columns of a requested kind. Text in a typed table that reads like numbers, as "12" in a data frame, is a number
        only if `number` names it; text of a CSV file has no type. A target named in `category` has classes, however
        many distinct values it has.
    features : names, optional
        The only columns to use; all that are not left out by default.
    numeric_form : mapping, optional
        Form of columns of numbers, {"column": "linear", "scores" or "both"}: standardized, normal scores, or a feature
        of each. Cross-validation chooses that of heavy-tailed ones that are not named.
    groups : str or int, optional
        Column whose equal values are rows that belong together, as those of one person: no fold separates them, and the
        column is no feature.
    time : str or int, optional
        Column of dates or numbers. The folds that choose the strength are trained on the past and tested on the rows
        that follow (an expanding window). The column is no feature unless `features`, `date` or `number` names it.
    offset : mapping, optional
        Columns that are added to the logits, by class: {"yes": "score_yes", "no": "score_no"}, such as the logits of
        another model or the logarithms of exposures. A class that is not named has the offset 0. The columns are no
        features, and predictions need them, too.
    missing_target : {"drop", "error"}
        Whether rows without a label are left out, with a `TableNote`, or refused. Labels y beside the features must be
        complete.
    rare : {"keep", "drop", "pool", "error"}
        What is done with classes of a single row: train on the row, leave it out, merge all such classes into one, or
        refuse them.
    strength : float or "auto"
        Strength of the penalty, >= 0; "auto" chooses it by cross-validation, as `softreg.SoftmaxRegressionCV`, which
        takes ten to twenty times as long. `cross_val_score` and `GridSearchCV` choose it again in each of their folds.
        With a number, `terms="auto"` adds no terms.
        Without a penalty, or with "firth", there is nothing to choose.
    folds : int, optional
        Number of shuffled, stratified folds of that choice; at most five by default.
    rule : {"min", "1se"}
        Best held-out score, or the strongest penalty within one standard error of it.
    scoring : str or callable
        Score of that choice, as of `softreg.SoftmaxRegressionCV`.
    unpenalised : names, optional
        Columns whose features (of a category all levels) have no penalty, so that the model is adjusted for them
        without shrinking their weights.
    bounds : mapping, optional
        Bounds of weights of columns of numbers and booleans, per unit of the column: {"age": "+", "income": (-1, None)}
        or by class, {"age": {"yes": "+"}}. For two classes a bound is that of the second one, whose probability does
        not decrease in a column with "+". The columns are in linear form, and their indicators of missing values have
        no bound. More classes need a class or `bounds_reference`; see `softreg.SoftmaxRegression`.
    bounds_reference : label, optional
        Class whose weights are 0 in the columns with bounds, so that the bounds limit the log-odds against this class.
    terms : {"linear", "auto"} or Terms
        "auto" compares, by the log loss of held-out rows, the linear model with smooth curves of all columns of
        numbers, and with interactions of two columns; the best one is fitted to all rows. Each curve, category and
        interaction has a strength of its own, which maximises the Laplace approximation to the evidence. "linear" has
        one weight a class for each feature. `softreg.tables.Terms` requests single terms. With a strength that is
        given, another penalty than "l2", or a prior, "auto" compares nothing and is "linear".
    prior : TableClassifier, optional
        A classifier that was fitted with `keep_posterior=True`, whose posterior takes the place of the penalty. Schema,
        encoder, classes and columns of offsets are those of the prior; rows may lack a class.
    keep_posterior : bool
        Whether the model and its file keep the posterior of the weights, as prior of further rows.
    penalty, l1_ratio, class_weight, tol, max_iter, random_state
        As of `softreg.SoftmaxRegression`. With the penalty "group", all features that encode one column of the table
        (the levels of a category, the parts of a date) are a group: a column is in the model or out of it as a whole.
    verbose : int or callable
        As there; a callable receives a `PathPoint` for each strength, a `softreg.tables.TermProgress` for each model
        that `terms="auto"` compares, and `softreg.optimize.Progress` records of a fit in batches.

    Attributes
    ----------
    schema_ : Schema
        Kind of each column, with the reason.
    encoder_ : Encoder
        Encoder of the columns as a matrix.
    model_ : SoftmaxRegression
        Fitted regression, whose classes are text.
    classes_ : array (q,)
        Labels, sorted, in their type: integers, booleans, floats, decimals, text, and datetime64 for dates and
        timestamps; the dtype of y where labels were given. Labels in a CSV file are integers, floats or booleans if all
        of them are written so.
    feature_names_out_ : tuple of str (d,)
        Columns of the encoded matrix.
    n_features_in_, feature_names_in_ : int, array of str
        Columns of the table without the target.
    path_ : Path or None
        Strengths that were tried, None where the strength was given. With terms, those of the linear model.
    terms_ : TermRecord or None
        Held-out losses of the models that `terms="auto"` compared, and the strength of each term; None with "linear",
        and where "auto" compares nothing.
    evaluation_ : StoredEvaluation or None
        Evaluation on held-out rows that `softreg train` or `keep_evaluation` stored with the model; a fit removes it.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"age": [20, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
    >>> TableClassifier("buys").fit(table).predict(pa.table({"age": [58, 19]})).tolist()
    ['yes', 'no']
    """

    def __init__(
        self,
        target: str | int | None = None,
        *,
        drop: Names = (),
        text: Names = (),
        category: Names = (),
        number: Names = (),
        date: Names = (),
        features: Names = None,
        numeric_form: NumericForm = None,
        groups: str | int | None = None,
        time: str | int | None = None,
        offset: Mapping[Any, str | int] | None = None,
        missing_target: str = "drop",
        rare: str = "keep",
        strength: float | str = "auto",
        folds: int | None = None,
        rule: str = "min",
        scoring: Any = "log_loss",
        unpenalised: Names = (),
        bounds: Mapping[Any, Any] | None = None,
        bounds_reference: Any = None,
        terms: str | Terms = "auto",
        prior: Any = None,
        keep_posterior: bool = False,
        penalty: str | None = "l2",
        l1_ratio: float = 0.0,
        class_weight: Mapping[Any, float] | str | None = None,
        solver: str = "auto",
        tol: float = 1e-6,
        max_iter: int = 1000,
        random_state: int | None = None,
        verbose: int | Callable[[Any], None] = 0,
    ) -> None:
        self.target, self.features, self.numeric_form = target, features, numeric_form
        self.drop, self.text, self.category, self.number, self.date = drop, text, category, number, date
        self.groups, self.time, self.offset = groups, time, offset
        self.missing_target, self.rare = missing_target, rare
        self.strength, self.folds, self.rule, self.scoring = strength, folds, rule, scoring
        self.unpenalised, self.bounds, self.bounds_reference = unpenalised, bounds, bounds_reference
        self.terms, self.prior, self.keep_posterior = terms, prior, keep_posterior
        self.penalty, self.l1_ratio, self.class_weight = penalty, l1_ratio, class_weight
        self.solver, self.tol, self.max_iter = solver, tol, max_iter
        self.random_state, self.verbose = random_state, verbose

    def fit(
        self,
        data: Any,
        y: Any = None,
        *,
        target: str | int | None = None,
        rows: ArrayLike | None = None,
        sample_weight: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        memory: Memory = "auto",
        cluster: Any = None,
    ) -> TableClassifier:
        """Fit schema, encoder and model to a table with its labels, or to features X and labels y.

        Columns that are left out are named in a `TableWarning`. Row numbers in messages are those of the whole table.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array (n, d)
            The table, with the column of labels unless y is given; columns of an array are named by their numbers.
        y : array-like (n,), optional
            Labels by position: a series (its index is ignored), an array or a list of text, integers, booleans, dates,
            categories or numbers. A column of `data` that has the name of the target is then no feature.
        target : str or int, optional
            Column of labels, if the constructor does not have it.
        rows : array-like, optional
            Training rows, as numbers from 0 or a mask, as from `split_rows`; all by default.
        sample_weight : array-like (n,) or str, optional
            Weight of each row, or a column of weights: a row of weight 2 counts as the row given twice in the
            objective, in the choice of the strength, and in means and standard deviations; a row of weight 0 is left
            out. Folds, kinds, levels, terms and normal scores count each other row once.
        checkpoint : path, optional
            Folder from which the same call resumes an interrupted fit.
        memory : {"auto", "low", "high"}
            Files of more than 512 MB (compressed ones count four times; "low": all files) are read in batches: kinds
            are inferred, and the strength is chosen, on a sample of up to 100,000 rows; means, levels, terms and
            weights are those of all rows. With "high" every table is read into memory.
        cluster : str or distributed.Client, optional
            Worker processes that read, count and encode the rows of Parquet files, as with `memory="low"`, and keep
            them encoded for the fit: "local" or "local:4" for processes of this machine, the address of a Dask
            scheduler such as "tcp://host:8786" (`pip install 'softreg[dask]'`), or its client. The model is the same to
            the last bit for any number of workers. Processes of this machine import the script that starts them, so
            the call stands under `if __name__ == "__main__":`.

        Returns
        -------
        TableClassifier
            The fitted classifier itself.

        Raises
        ------
        TableError
            If no model can be trained on the table; column, row and value are in the message.
        ValueError
            If weights are negative, not finite, or of another number than the rows.

        Examples
        --------
        >>> X, y = np.array([[20.0], [60.0], [25.0], [55.0]]), np.array([0, 1, 0, 1])
        >>> TableClassifier(strength=0.01).fit(X, y).predict(X)
        array([0, 1, 0, 1])
        """
        choice = CrossValidation(self.folds, self.rule, self.numeric_form, scoring=self.scoring)
        check_was_stored("prior", self.prior)
        prior, name = self._prior(target, checkpoint)
        choice.check()
        rules = LabelRules(self.missing_target, self.rare)
        rules.check()
        if is_rows_argument(data, y, name):
            message = "fit(data, rows) is now fit(data, rows=rows); the second argument is y, the labels."
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            y, rows = None, y
        if y is None and name is None:
            data, name = with_default_target(data)
        weighted = {
            "y": y,
            "sample_weight": sample_weight,
            "rules": rules,
            "categorical": self._target_is_categorical(name),
        }
        if cluster is not None:
            check_cluster_fit(data, y=y, sample_weight=sample_weight, memory=memory, prior=prior)
            with engine_context(cluster) as engine:
                data = self._scan_on_cluster(data, name, engine, rows, sample_weight, rules)
                return self._fit_in_batches(data, checkpoint, choice)
        if isinstance(data, FragmentPasses):
            return self._fit_in_batches(data, checkpoint, choice)
        scan = scan_if_large(data, rows, name, memory, self.random_state, self._unused(name), **weighted)
        if prior is not None:
            given = scan or training_table(data, y, name, rows, sample_weight, self._unused(name))
            return self._fit_with_prior(prior, given)
        if scan is not None:
            return self._fit_in_batches(BatchPasses(scan), checkpoint, choice)
        given = training_table(data, y, name, rows, sample_weight, self._unused(name))
        return self._fit_in_memory(given, checkpoint, choice)

    def _scan_on_cluster(
        self, data: Any, target: str | None, engine: Engine, rows: Any, weights: str | None, rules: LabelRules
    ) -> FragmentPasses:
        """Return the passes of the workers over a table; raise `TableError` without a column of labels."""
        if target is None:
            raise TableError(MISSING_TARGET)
        return scan_on_cluster(
            data,
            target,
            engine,
            rows=rows,
            seed=self.random_state,
            unused=self._unused(target),
            weights=weights,
            rules=rules,
            categorical=self._target_is_categorical(target),
            on_progress=self.verbose if callable(self.verbose) else None,
        )

    def _fit_with_prior(self, prior: PriorModel, given: TrainingTable | TableScan) -> TableClassifier:
        """Fit the regression with the posterior, the schema and the encoder of another classifier."""
        model, constraints = prior.classifier, self._constraints()
        constraints.check(model.schema_, self.penalty)
        settings = {**self._settings(prior.classes), **constraints.parameters(model.encoder_, prior.classes)}
        fitted = prior.fit_in_batches(given, settings) if isinstance(given, TableScan) else prior.fit(given, settings)
        label_types.reorder_classes(fitted.model, prior.order(fitted.model.classes_))
        self.schema_, self.encoder_, self.path_, self.terms_ = fitted.schema, fitted.encoder, None, None
        self.term_shares_ = None
        self.rare_, self.offset_, self.constraints_ = model.rare_, model.offset_, constraints
        dtype = None if isinstance(given, TableScan) else given.label_dtype
        self._take_model(fitted.model, model.label_type_, dtype)
        return self

    def _fit_in_memory(
        self, given: TrainingTable, checkpoint: str | os.PathLike[str] | None, choice: CrossValidation
    ) -> TableClassifier:
        """Fit all parts to a table in memory; raise `TableError` for both groups and times."""
        table, target = given.table, given.target
        rules = LabelRules("error") if given.separate else LabelRules(self.missing_target, self.rare)
        given, labelled = select_labelled_rows(given, rules, categorical=self._target_is_categorical(target))
        chosen, y = given.rows, labelled.y if given.rows is None else labelled.y[given.rows]
        groups, time = self._name("groups"), self._name("time")
        if groups is not None and time is not None:
            raise TableError(TIME_AND_GROUPS)
        if groups is not None:
            choice = replace(choice, groups=group_codes(table, groups, target, chosen))
        if time is not None:
            choice = replace(choice, times=time_codes(table, time, target, chosen))
        dropped = self._dropped(table.column_names, target, given.weights)
        drop = [name for name in dropped if not (given.separate and name == target)]
        schema = infer_schema(table, target, drop=drop, rows=chosen, kinds=self._requested_kinds())
        settings, constraints = self._settings(np.unique(y).tolist()), self._constraints()
        constraints.check(schema, self.penalty)
        terms = checked_terms(self.terms, schema, settings, constraints=constraints, forms=choice.numeric_form)
        choice = replace(choice, numeric_form=constraints.linear_forms(choice.numeric_form, schema))
        by_class, offsets = self._training_offsets(table, chosen, np.unique(y).tolist())
        rows: dict[str, Any] = {"weight": given.row_weight, "offsets": offsets}
        encoder = fit_encoder(schema, table, chosen, y, settings, choice, **rows)
        if given.row_weight is not None:
            encoder = with_weighted_moments(encoder, [(table, chosen, given.row_weight)])
        X, names = encoder.encode(table, chosen), np.array(encoder.feature_names_out, dtype=object)
        classes = label_types.ordered_classes(table.schema.field(target), np.unique(y).tolist(), labelled.rare.pool)
        if constraints:
            settings |= constraints.parameters(encoder, classes)
            counts = IndicatorCounts.of(encoder, constraints.unpenalised)
            counts.add(X, y)
            emit_warnings(counts.messages())
        model, path = fit_model(with_column_groups(settings, encoder), X, y, names, checkpoint, choice, **rows)
        fitted = with_terms(
            FittedParts(schema, encoder, model, path),
            TermSample(table, chosen, y, len(y), given.row_weight, offsets),
            terms,
            encode=lambda found: (found.encode(table, chosen), y),
            settings=settings, choice=choice, constraints=constraints, classes=classes,
        )  # fmt: skip
        self.rare_, self.offset_, self.constraints_ = labelled.rare, by_class, constraints
        return self._finish(fitted, table.schema, given.label_dtype)

    def _fit_in_batches(
        self, passes: TrainingPasses, checkpoint: str | os.PathLike[str] | None, choice: CrossValidation
    ) -> TableClassifier:
        """Fit all parts to a table that is read in batches; raise `TableError` for groups or times."""
        scan = passes.scan
        for name in ("groups", "time"):
            if getattr(self, name) is not None:
                need = "needs" if name == "time" else "need"
                raise TableError(
                    f"{name} {need} all rows in memory, and this table is read in batches; use memory='high'."
                )
        drop = self._dropped(scan.source.names, scan.target, scan.weights)
        by_class, settings = columns_by_class(self.offset, scan.classes), self._settings(scan.classes)
        kinds = self._requested_kinds()
        constraints = self._constraints()
        fitted = fit_in_batches(
            passes,
            settings,
            drop,
            kinds,
            checkpoint,
            choice,
            offsets=by_class,
            constraints=constraints,
            terms=self.terms,
        )
        self.rare_, self.offset_, self.constraints_ = scan.rare, by_class, constraints
        return self._finish(fitted, scan.source.schema)

    def _training_offsets(
        self, table: pa.Table, rows: Any, classes: list[str]
    ) -> tuple[dict[str, str], Offsets | None]:
        """Return the column of offsets of each class that has one, and the offsets of the training rows."""
        by_class = columns_by_class(self.offset, classes)
        if not by_class:
            return by_class, None
        chosen = table if rows is None else table.take(pa.array(rows))
        return by_class, Offsets(read_offsets(chosen, by_class, classes), tuple(classes))

    def _settings(self, classes: list[str]) -> dict[str, Any]:
        """Return the parameters of the regression, with class weights by the text of labels."""
        settings = {name: getattr(self, name) for name in REGRESSION_PARAMETERS}
        if isinstance(self.strength, str) and self.strength != "auto":
            raise TableError(f"strength is {self.strength!r}; expected a number of at least 0, or 'auto'.")
        if self.penalty in (None, "firth") and isinstance(self.strength, str):  # there is no strength to choose
            settings["strength"] = 0.0
        return {**settings, "class_weight": label_types.class_weights_by_name(self.class_weight, classes)}

    def _finish(
        self,
        fitted: FittedParts,
        types: pa.Schema,
        dtype: np.dtype[Any] | None = None,
    ) -> TableClassifier:
        """Set the fitted attributes, with the classes in the order and type of the labels."""
        schema, model = fitted.schema, fitted.model
        emit_warnings(schema.warnings)  # where warnings are errors, nothing is set
        kind = label_types.classes_label_type(types.field(schema.target), model.classes_.tolist(), self.rare_.pool)
        label_types.reorder_classes(model, label_types.class_order(model.classes_, kind))
        self.schema_, self.encoder_, self.path_, self.terms_ = schema, fitted.encoder, fitted.path, fitted.terms
        self.term_shares_ = fitted.shares
        self._take_model(model, kind, dtype)
        return self

    def _constraints(self) -> ColumnConstraints:
        """Return the columns without penalty and the bounds that the parameters name."""
        return column_constraints(self.unpenalised, self.bounds, self.bounds_reference)

    def _prior(self, target: str | int | None, checkpoint: Any) -> tuple[PriorModel | None, str | None]:
        """Return the model whose posterior is the prior, or None, and the column of labels."""
        name = self._target(target)
        if self.prior is None:
            return None, name
        if checkpoint is not None:
            raise TableError("A fit with a prior takes few steps and has no checkpoint; leave the checkpoint out.")
        prior = PriorModel.of(self.prior, name, self.get_params(deep=False))
        return prior, prior.target

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted classifier to one file atomically; `softreg.load` reads it."""
        arrays, metadata = self.to_state()
        write_model(path, "table", arrays, metadata)

    def to_state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return arrays and a JSON-serializable dict of the fitted classifier; `from_state` reads them."""
        self._check_fitted()
        return classifier_state(self)

    @classmethod
    def from_state(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> TableClassifier:
        """Return the classifier that `to_state` described; raise `ValueError` for any other state."""
        return cast(TableClassifier, classifier_from_state(cls, arrays, metadata))
