"""The state of a fitted table classifier: arrays and strict JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from softreg.models import SoftmaxRegression
from softreg.models.selection.search_state import path_from_json, path_to_json
from softreg.models.serialization import fields
from softreg.models.serialization.cv_parameters import parameter_from_json, parameter_to_json
from softreg.models.serialization.not_stored import NotStored, description_of
from softreg.models.serialization.stored_evaluation import evaluation_from_state
from softreg.models.serialization.weight_parameters import weight_parameter_from_json, weight_parameter_to_json
from softreg.tables.columns.table_errors import column_names
from softreg.tables.encode.encoder import Encoder
from softreg.tables.fit.numeric_forms.choose_numeric_form import forms_state
from softreg.tables.fit.predictor import MODEL_PREFIX, offset_state, schema_and_encoder
from softreg.tables.fit.stored_intervals import intervals_from_state
from softreg.tables.fit.terms.functions.node_shares import NodeShares, TermNodes
from softreg.tables.fit.terms.term_options import Terms, requested_terms
from softreg.tables.fit.terms.term_record import TermRecord
from softreg.tables.fit.weight_terms.column_constraints import ColumnConstraints, column_constraints
from softreg.tables.row_selection.rare_classes import NO_RARE, RareClasses
from softreg.tables.schema import label_types
from softreg.tables.schema.kinds import USER_KINDS
from softreg.typing import Array, Float64Array

TERM_SHARES = "terms.shares"
"""Name of the array of the shares of the training rows at the nodes of terms."""
UNUSED_TERMS = "unused_terms"
"""Name of the requested terms of a model that was fitted without a choice; earlier versions pass over it."""
REGRESSION_PARAMETERS = (
    "strength",
    "penalty",
    "l1_ratio",
    "class_weight",
    "solver",
    "tol",
    "max_iter",
    "random_state",
    "verbose",
    "keep_posterior",
)
"""The parameters of `TableClassifier` that are those of its regression."""
SELECTION_PARAMETERS = {
    "groups": None,
    "folds": None,
    "rule": "min",
    "time": None,
    "missing_target": "drop",
    "rare": "keep",
}
"""The parameters of the choice of rows and of the strength, with their defaults."""


def classifier_state(model: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and strict JSON that hold a fitted `TableClassifier`."""
    arrays, regression = model.model_.to_state()
    state = {
        "schema": model.schema_.to_state(),
        "encoder": model.encoder_.to_state(),
        "drop": list(column_names(model.drop)),
        "asked": {name: kind.value for name, kind in model._requested_kinds().items()},
        "model": regression,
        "labels": model.label_type_,
        "label_dtype": label_types.dtype_name(model.classes_, model.label_type_),
        "choice": {
            **{name: getattr(model, name) for name in SELECTION_PARAMETERS},
            **{name: model._name(name) for name in ("groups", "time")},
            "numeric_form": forms_state(model.numeric_form),
            "scoring": parameter_to_json(model.scoring),
            "features": None if model.features is None else list(column_names(model.features)),
        },
        **({"offset": dict(model.offset_)} if model.offset_ else {}),
        **({"constraints": _constraints_state(model.constraints_)} if model.constraints_ else {}),
        **({"prior": _prior_text(model.prior)} if model.prior is not None else {}),
        **_terms_state(model),
        **({"evaluation": model.evaluation_.to_state()} if model.evaluation_ is not None else {}),
        "rare": asdict(model.rare_),
        "path": None if model.path_ is None else path_to_json(model.path_),
    }
    arrays = {MODEL_PREFIX + name: array for name, array in arrays.items()}
    if model.intervals_ is not None:
        kept, state["intervals"] = model.intervals_.to_state()
        arrays |= kept
    if model.term_shares_ is not None:
        arrays[TERM_SHARES] = model.term_shares_
    return arrays, state


def _constraints_state(constraints: ColumnConstraints) -> dict[str, Any]:
    """Return columns without penalty and bounds as strict JSON."""
    return {
        "unpenalised": list(constraints.unpenalised),
        "bounds": weight_parameter_to_json(dict(constraints.bounds) or None),
        "reference": weight_parameter_to_json(constraints.reference),
    }


def _constraints_from_state(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of columns without penalty and of bounds; none for a file without."""
    stored = metadata.get("constraints")
    if stored is None:
        return {}
    return {
        "unpenalised": fields.texts(stored, "unpenalised"),
        "bounds": weight_parameter_from_json(stored["bounds"]),
        "bounds_reference": weight_parameter_from_json(stored["reference"]),
    }


def _terms_state(model: Any) -> dict[str, Any]:
    """Return the requested terms and what their choice found as strict JSON; nothing for linear ones."""
    terms = requested_terms(model.terms)
    requested = {
        "mode": terms.mode,
        **{name: list(column_names(getattr(terms, name))) for name in ("smooth", "pool", "linear")},
        "interactions": [list(pair) for pair in terms.interactions],
        "monotone": dict(terms.monotone),
        "seconds": terms.seconds,
    }
    if model.terms_ is not None:
        return {"terms": {**requested, "record": model.terms_.to_state()}}
    return {UNUSED_TERMS: requested} if terms else {}


def _terms_from_state(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], TermRecord | None]:
    """Return the parameter `terms`, and what the choice found; "linear" and None for a file without."""
    name = "terms" if "terms" in metadata else UNUSED_TERMS
    if name not in metadata:
        return {"terms": "linear"}, None
    stored = fields.mapping(metadata, name)
    named = {name: fields.texts(stored, name) for name in ("smooth", "pool", "linear")}
    terms = Terms(
        fields.text(stored, "mode"), **named, interactions=tuple(map(tuple, stored["interactions"])),
        monotone=fields.mapping(stored, "monotone"), seconds=stored["seconds"],
    )  # fmt: skip
    record = TermRecord.from_state(fields.mapping(stored, "record")) if name == "terms" else None
    return {"terms": terms.mode if terms == Terms(terms.mode) else terms}, record


def _term_shares(arrays: Mapping[str, Array], encoder: Encoder) -> Float64Array | None:
    """Return the shares of the training rows at the nodes of terms; None for a file without."""
    if TERM_SHARES not in arrays:
        return None
    try:
        return NodeShares.from_flat(TermNodes(encoder), arrays[TERM_SHARES]).to_flat()
    except ValueError as error:
        raise ValueError(f"this is not the state of a table model: {error}") from error


def _prior_text(prior: Any) -> str:
    """Return the description of a prior, of which the file stores no more."""
    if isinstance(prior, NotStored):
        return prior.description
    model = getattr(prior, "estimator", prior)
    return f"{model.model_.posterior()}".lower() if hasattr(model, "model_") else description_of(prior)


def classifier_from_state(cls: Any, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> Any:
    """Return the `cls` that `classifier_state` described; raise `ValueError` for other states."""
    try:
        schema, encoder = schema_and_encoder(metadata)
        own = {
            name.removeprefix(MODEL_PREFIX): array for name, array in arrays.items() if name.startswith(MODEL_PREFIX)
        }
        model = SoftmaxRegression.from_state(own, metadata["model"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is not the state of a table model: {error}") from error
    if model.n_features_in_ != encoder.width:
        raise ValueError(f"weights of {model.n_features_in_} features do not fit {encoder.width} of the encoder")
    path = path_from_json(metadata["path"]) if metadata.get("path") else None
    kept = {name: getattr(model, name) for name in REGRESSION_PARAMETERS}
    kept["strength"] = "auto" if path is not None or "prior" in metadata else model.strength
    kept["prior"] = NotStored(str(metadata["prior"])) if "prior" in metadata else None
    requested = dict(metadata.get("asked", {}))
    kinds: dict[str, Any] = {
        kind.value: tuple(name for name in requested if requested[name] == kind.value) for kind in USER_KINDS
    }
    choice = metadata.get("choice", {})  # files of earlier versions have none
    kept |= {name: choice.get(name, default) for name, default in SELECTION_PARAMETERS.items()}
    kept["scoring"], features = parameter_from_json(choice.get("scoring", "log_loss")), choice.get("features")
    kept["numeric_form"] = choice.get("numeric_form")
    kept["features"] = None if features is None else tuple(features)
    offset = offset_state(metadata)
    kept["offset"] = offset or None
    try:
        kept |= _constraints_from_state(metadata)
        terms, record = _terms_from_state(metadata)
        constraints = column_constraints(kept.get("unpenalised", ()), kept.get("bounds"), kept.get("bounds_reference"))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is not the state of a table model: {error}") from error
    kept |= terms
    self = cls(schema.target, drop=tuple(metadata.get("drop", ())), **kinds, **kept)
    self.schema_, self.encoder_, self.path_, self.offset_ = schema, encoder, path, offset
    self.constraints_, self.terms_, self.term_shares_ = constraints, record, _term_shares(arrays, encoder)
    rare = metadata.get("rare")
    self.rare_ = NO_RARE if not rare else RareClasses(tuple(rare["labels"]), str(rare["how"]), str(rare["pool"]))
    kind = str(metadata.get("labels", label_types.TEXT))  # labels were text in earlier versions
    self._take_model(model, kind, label_types.dtype_from_name(metadata.get("label_dtype")))
    self.intervals_ = intervals_from_state(arrays, metadata, model.coef_, model.intercept_)
    self.evaluation_ = evaluation_from_state(metadata, model.classes_.tolist())
    return self
