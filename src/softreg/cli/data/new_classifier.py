"""The unfitted classifier that the options of `softreg train` describe, and the model of its prior."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_note
from softreg.cli.data.label_codes import class_weights
from softreg.cli.data.load_model import load_model
from softreg.cli.options.train_request import TrainRequest
from softreg.tables import TableClassifier

DEFAULT_L1_RATIO = 0.5
"""Share of L1 of --penalty elasticnet without --l1-ratio."""
CLASS_WEIGHTS_NOTE = (
    "Class weights change the probabilities: they are those of a population in which the classes have these weights, "
    "not those of the rows. For decisions with unequal costs, --cost needs no class weights."
)


def read_prior(request: TrainRequest) -> TableClassifier | None:
    """Return the model of --prior, or None; raise `CommandError` if it is no model of a table."""
    if request.prior is None:
        return None
    model = load_model(request.prior).table_model
    if model is None:
        raise CommandError(f"--prior: {str(request.prior)!r} was fitted to an array; name a model of `softreg train`.")
    return model


def new_classifier(request: TrainRequest, classes: Sequence[str], prior: TableClassifier | None) -> TableClassifier:
    """Return the unfitted classifier with the parameters of the request."""
    if prior is not None:
        return _classifier_with_prior(request, prior)
    weights = class_weights(request.class_weight, classes)
    if weights is not None:
        print_note(CLASS_WEIGHTS_NOTE)
    l1_ratio = DEFAULT_L1_RATIO if request.l1_ratio is None else request.l1_ratio
    kinds = request.column_kinds
    return TableClassifier(
        request.target,
        strength="auto" if request.strength is None else request.strength,
        penalty=None if request.penalty == "none" else request.penalty,
        l1_ratio=l1_ratio if request.penalty == "elasticnet" else 0.0,
        class_weight=weights,
        folds=request.folds,
        rule=request.rule or "min",
        scoring=request.scoring or "log_loss",
        groups=request.groups,
        time=request.time,
        offset=request.offset or None,
        unpenalised=request.unpenalised,
        bounds=request.bounds_by_column or None,
        bounds_reference=request.bounds_reference,
        terms=request.requested_terms,
        keep_posterior=request.keep_posterior,
        missing_target=request.missing_target,
        rare=request.rare,
        features=request.features or None,
        numeric_form=request.forms or None,
        drop=request.drop,
        text=kinds["text"],
        category=kinds["category"],
        number=kinds["number"],
        date=kinds["date"],
    )


def _classifier_with_prior(request: TrainRequest, prior: TableClassifier) -> TableClassifier:
    """Return the classifier whose columns, classes and prior are those of another one."""
    return TableClassifier(
        request.target,
        prior=prior,
        keep_posterior=request.keep_posterior,
        bounds=request.bounds_by_column or None,
        bounds_reference=request.bounds_reference,
        missing_target=request.missing_target,
    )
