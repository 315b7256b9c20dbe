"""Tensors of PyTorch, CuPy, JAX and others: training features on a device, and predictions in the caller's kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from softreg.models.inputs.features import validate_features
from softreg.models.inputs.finite_values import raise_nonfinite
from softreg.rows import OnDevice
from softreg.rows.gpu.device_array import KINDS, find_device, on_its_device, to_device
from softreg.rows.gpu.interop import is_tensor, is_torch, like, name_of, on_host, pytorch, to_numpy, to_torch
from softreg.typing import Array

SAMPLED_ROWS = 128
"""Rows of a tensor that decide whether float32 products keep the digits of its logits."""
CHUNK = 1 << 22
"""Numbers of X that are checked or multiplied at a time."""
CUDA_CHUNKS = 256
"""Chunks that a GPU checks between two synchronizations with the host."""
SMALL_KINDS = ("float16", "bfloat16", "uint8")
"""Dtypes that NumPy lacks, or whose conversion on the host would take a larger copy."""


def training_features(estimator: BaseEstimator, X: Any, device: Any) -> Any:
    """Return validated features for a fit, on the host or on the device that computes.

    Parameters
    ----------
    estimator : estimator
        Receives the number and names of the features.
    X : array, sparse matrix, frame or tensor of shape (n, d)
        Features.
    device : None, str or torch.device
        Device that computes. None computes where X is: tensors on a GPU there, host arrays and tensors of float32 and
        float64 by softreg's own kernels, without a copy.

    Returns
    -------
    ndarray, csr_array or OnDevice of shape (n, d)
        The features.

    Raises
    ------
    ValueError
        If X is sparse and a device is given, if the device does not exist, or if a number is not finite.
    ImportError
        If PyTorch is needed and not installed.
    """
    if device is None:
        if not _is_torch_product(X):
            return validate_features(estimator, X, reset=True)
        on_device = on_its_device(_validate_shape(estimator, X, reset=True))
    else:
        place = find_device(device)
        if not is_tensor(X) and not (isinstance(X, np.ndarray) and X.dtype.name in KINDS and X.dtype.isnative):
            X = validate_features(estimator, X, reset=True, finite=False)
        if sp.issparse(X):
            raise ValueError(
                f"X is sparse, and device={str(device)!r} multiplies dense rows only: leave device out, which fits "
                "sparse rows as they are, or pass X.toarray() where that fits into memory."
            )
        on_device = to_device(_validate_shape(estimator, X, reset=True), place)
    check_tensor(on_device.tensor)
    return on_device


def _is_torch_product(X: Any) -> bool:
    """Return True if X is a tensor that PyTorch multiplies on the tensor's device."""
    return is_tensor(X) and (not on_host(X) or (is_torch(X) and name_of(X) in SMALL_KINDS))


def _validate_shape(estimator: BaseEstimator, X: Any, reset: bool) -> Any:
    """Return X after scikit-learn's validation of its shape, done on an array without memory of the same shape."""
    if len(X.shape) != 2:
        raise ValueError(
            f"Expected 2D array: X is a tensor of shape {tuple(X.shape)}, and rows of features have two axes, (n, d). "
            "Reshape your data, with X.reshape(-1, 1) for a single feature or X.reshape(1, -1) for a single row."
        )
    shape = np.broadcast_to(np.float32(0), tuple(X.shape))
    validate_data(estimator, shape, reset=reset, dtype=None, ensure_all_finite=False)
    return X


def check_tensor(X: Any) -> None:
    """Raise `ValueError` for the first number of a tensor (n, d) that is not finite, with its column and row."""
    torch = pytorch("a tensor")
    if not X.is_floating_point():
        return
    size = max(1, CHUNK // max(1, X.shape[1]))
    if X.device.type == "cuda":
        size *= CUDA_CHUNKS
    for a in range(0, len(X), size):
        chunk = X[a : a + size]
        if torch.isfinite(chunk.sum(dtype=torch.float64 if X.dtype == torch.float64 else torch.float32)):
            continue
        nonfinite = ~torch.isfinite(chunk)
        if nonfinite.any():
            row, column = (int(i) for i in nonfinite.nonzero()[0])
            raise_nonfinite(float(chunk[row, column]), a + row, f"column {column}")


# --- predictions ------------------------------------------------------------------------------------------------


def tensor_scores(model: Any, X: Any, probabilities: bool) -> Any:
    """Return the logits of a tensor's rows, or their softmax.

    Parameters
    ----------
    model : LinearClassifier
        A fitted model.
    X : tensor of shape (n, d)
        Features.
    probabilities : bool
        Whether to return the softmax of the logits.

    Returns
    -------
    torch.Tensor or ndarray of shape (n, q)
        A tensor on the device of X where PyTorch computes it, an array otherwise; float64 if X is float64, and float32
        otherwise.

    Raises
    ------
    ValueError
        If a number of X is not finite, or a logit overflows.
    """
    if not _is_torch_product(X):
        scores = model._scores_without_offset(to_numpy(X), probabilities)
        return scores.astype(np.float32) if name_of(X) in ("float32", *SMALL_KINDS) else scores
    tensor = _validate_shape(model, to_torch(X), reset=False)
    torch = pytorch("a tensor")
    kind = torch.float32 if name_of(tensor) != "float64" else torch.float64
    sample = tensor[:: max(1, len(tensor) // SAMPLED_ROWS)]
    product_kind = kind if model._float32_suffices(to_numpy(sample)) else torch.float64
    with torch.no_grad():
        o = _logits(model, tensor, product_kind)
        if not torch.isfinite(o).all():
            check_tensor(tensor)
            o = _logits(model, tensor, torch.float64)
            check_no_overflow(torch.isfinite(o).all(1), lambda row: float(tensor[row].abs().max()))
        return (o.softmax(1) if probabilities else o).to(kind)


def _logits(model: Any, X: Any, kind: Any) -> Any:
    """Return `X W + b`, (n, q), by chunks of rows where X has to be converted to the dtype `kind`."""
    torch = pytorch("a tensor")
    W, b = (torch.from_numpy(np.ascontiguousarray(a)).to(X.device, kind) for a in (model.coef_.T, model.intercept_))
    if X.dtype == kind:
        return torch.addmm(b, X, W)
    size = max(1, CHUNK // max(1, X.shape[1]))
    return torch.cat([torch.addmm(b, X[a : a + size].to(kind), W) for a in range(0, len(X), size)])


def check_no_overflow(finite: Any, largest: Callable[[int], float]) -> None:
    """Raise `ValueError` for the first row whose logits are not finite, with the largest number of that row."""
    if not bool(finite.all()):
        row = int(to_numpy(finite).argmin())
        raise ValueError(
            f"row {row} of X holds numbers so large that its logits X W + b overflow (the largest is "
            f"{largest(row):g}). Look for a wrong unit or a damaged value in that row."
        )


def classes_like(classes: Array, codes: Any, X: Any) -> Any:
    """Return the classes of these codes as an array of the kind of X; text as a NumPy array."""
    labels = classes[to_numpy(codes)]
    return like(labels, X) if classes.dtype.kind in "bif" else np.asarray(labels)


def to_host(X: Any) -> Any:
    """Return features in the memory of the host."""
    return X.numpy() if isinstance(X, OnDevice) else X
