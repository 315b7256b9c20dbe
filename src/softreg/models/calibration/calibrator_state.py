"""Recalibration maps and parameters of calibrators as arrays and strict JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from softreg.models.calibration.maps.isotonic import Isotonic, Steps
from softreg.models.calibration.maps.odds_maps import QuadraticOdds
from softreg.models.calibration.maps.structured_map import StructuredMap
from softreg.models.calibration.methods import Identity, Matrix, Recalibration, Scaled
from softreg.models.calibration.temperature import Scaling
from softreg.models.serialization import fields
from softreg.typing import Array, Float64Array

QUADRATIC = ("a", "b", "c", "low", "high", "gap")
"""Numbers of a quadratic map."""


def parameters_to_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a calibrator as strict JSON, in which an infinite `caution` is null.

    Parameters
    ----------
    parameters : mapping
        Values by name, `caution` among them.

    Returns
    -------
    dict
        Values by name.

    Examples
    --------
    >>> parameters_to_json({"method": "auto", "caution": np.inf})
    {'method': 'auto', 'caution': None}
    """
    caution = float(parameters["caution"])
    return {**parameters, "caution": caution if np.isfinite(caution) else None}


def parameters_from_json(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that `parameters_to_json` described.

    Parameters
    ----------
    stored : mapping
        Values by name.

    Returns
    -------
    dict
        Values by name.

    Examples
    --------
    >>> parameters_from_json({"method": "auto", "caution": None})
    {'method': 'auto', 'caution': inf}
    """
    return {**stored, "caution": np.inf if stored["caution"] is None else stored["caution"]}


def map_to_state(fitted: Recalibration) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return a recalibration map as arrays and strict JSON.

    Parameters
    ----------
    fitted : Recalibration
        A map of `methods.METHODS`.

    Returns
    -------
    arrays : dict of str to ndarray
        Its arrays.
    metadata : dict
        Its kind and numbers.

    Raises
    ------
    TypeError
        For a map of another package.

    Examples
    --------
    >>> map_to_state(Identity())
    ({}, {'kind': 'none'})
    """
    match fitted:
        case Identity():
            return {}, {"kind": "none"}
        case Scaled(scaling):
            return {"scale": scaling.scale, "bias": scaling.bias}, {"kind": "scaled"}
        case Matrix(W, b):
            return {"W": W, "bias": b}, {"kind": "matrix"}
        case StructuredMap(W, b):
            numbers = {name: float(getattr(fitted, name)) for name in ("c", "gap", "factor")}
            return {"W": W, "bias": b}, {"kind": "structured", **numbers}
        case QuadraticOdds():
            return {}, {"kind": "quadratic", **{name: float(getattr(fitted, name)) for name in QUADRATIC}}
        case Isotonic(steps, kept):
            arrays = {f"knots{k}": step.knots for k, step in enumerate(steps)}
            arrays |= {f"values{k}": step.values for k, step in enumerate(steps)}
            return arrays, {"kind": "isotonic", "kept": float(kept)}
    raise TypeError(f"a recalibration of the type {type(fitted).__name__} cannot be stored")


def map_from_state(arrays: Mapping[str, Array], metadata: Mapping[str, Any], q: int) -> Recalibration:
    """Return the map of q classes that `map_to_state` described.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Arrays of the state.
    metadata : mapping
        Kind and numbers.
    q : int
        Number of classes.

    Returns
    -------
    Recalibration
        The map.

    Raises
    ------
    ValueError
        If the parts do not describe a map of q classes.

    Examples
    --------
    >>> map_from_state({}, {"kind": "none"}, 2)
    Identity()
    """
    kind = fields.text(metadata, "kind")
    if kind == "none":
        return Identity()
    if kind == "scaled":
        return Scaled(Scaling(_array(arrays, "scale", (q,)), _array(arrays, "bias", (q,))))
    if kind == "matrix":
        return Matrix(_array(arrays, "W", (q, q)), _array(arrays, "bias", (q,)))
    if kind == "structured":
        W = _array(arrays, "W", (q,), (q, q))
        numbers = {name: fields.number(metadata, name) for name in ("c", "gap", "factor")}
        return StructuredMap(W, _array(arrays, "bias", (q,)), **numbers)
    if kind == "quadratic" and q == 2:
        return QuadraticOdds(**{name: fields.number(metadata, name) for name in QUADRATIC})
    if kind == "isotonic":
        kept = fields.number(metadata, "kept")
        steps = tuple(_steps(arrays, k) for k in range(q))
        if not 0 <= kept <= 1:
            raise ValueError(f"'kept' is {kept}, and must be a share from 0 to 1")
        return Isotonic(steps, kept)
    raise ValueError(f"{kind!r} is no recalibration of {q} classes that this version of softreg knows")


def _steps(arrays: Mapping[str, Array], k: int) -> Steps:
    """Return the step function of class k."""
    knots = _array(arrays, f"knots{k}", arrays[f"knots{k}"].shape[:1])
    values = _array(arrays, f"values{k}", knots.shape)
    ordered = len(knots) > 0 and (np.diff(knots) > 0).all() and (np.diff(values) >= 0).all()
    if not ordered or values[0] < 0 or values[-1] > 1:
        raise ValueError(f"the steps of class {k} do not increase from 0 to 1")
    return Steps(knots, values)


def _array(arrays: Mapping[str, Array], name: str, *shapes: tuple[int, ...]) -> Float64Array:
    """Return a float64 array of finite numbers with one of the shapes."""
    found = np.array(arrays[name], dtype=np.float64)
    if found.shape not in shapes or not np.isfinite(found).all():
        raise ValueError(f"{name!r} has the shape {found.shape} or numbers that are not finite; expected {shapes[0]}")
    return found
