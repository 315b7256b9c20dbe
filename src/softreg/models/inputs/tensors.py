"""Tensors of PyTorch, CuPy, JAX and others as features, rows on a device, and answers in the kind that came in."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import validate_data

from softreg.models.inputs.features import validate_features
from softreg.models.inputs.finite_values import raise_nonfinite
from softreg.rows import Array, OnDevice
from softreg.rows.gpu.device_array import KINDS, bring, find_device, where_it_is
from softreg.rows.gpu.interop import is_tensor, is_torch, like, name_of, on_host, pytorch, to_numpy, to_torch

SAMPLED_ROWS = 128
"""Rows of a tensor that tell whether float32 products keep the digits of its logits."""
CHUNK = 1 << 22
"""Numbers of X at a time that are looked at, or predicted from."""
SMALL_KINDS = ("float16", "bfloat16", "uint8")
"""Numbers that NumPy lacks, or that would take a larger copy to be multiplied there."""


def training_features(estimator: Any, X: Any, device: Any) -> Any:
    """Features for a fit: what `validate_features` gives for the host, or X on the device that computes.

    `device` None computes where X is: a tensor on a GPU there, host arrays and tensors of float32 and float64 in the
    host's memory by softreg's own kernels, without a copy. Raises `ValueError` for what cannot go to a device, for a
    device that is not there, and for numbers that are not finite; `ImportError` where PyTorch is missing.
    """
    if device is None:
        if not _stays(X):
            return validate_features(estimator, X, reset=True)
        there = where_it_is(_of_shape(estimator, X, reset=True))
    else:
        place = find_device(device)
        if not is_tensor(X) and not (isinstance(X, np.ndarray) and X.dtype.name in KINDS and X.dtype.isnative):
            X = validate_features(estimator, X, reset=True, finite=False)
        if sp.issparse(X):
            raise ValueError(
                f"X is sparse, and device={str(device)!r} multiplies dense rows only: leave device out, which fits "
                "sparse rows as they are, or hand in X.toarray() where that fits into memory."
            )
        there = bring(_of_shape(estimator, X, reset=True), place)
    check_tensor(there.tensor)
    return there


def _stays(X: Any) -> bool:
    """Whether X is a tensor that is multiplied by PyTorch where it lies."""
    return is_tensor(X) and (not on_host(X) or (is_torch(X) and name_of(X) in SMALL_KINDS))


def _of_shape(estimator: Any, X: Any, reset: bool) -> Any:
    """X, after scikit-learn has seen its shape; it would not know the tensor."""
    if len(X.shape) != 2:
        raise ValueError(
            f"Expected 2D array: X is a tensor of shape {tuple(X.shape)}, and rows of features have two axes, (n, d). "
            "Reshape your data, with X.reshape(-1, 1) for a single feature or X.reshape(1, -1) for a single row."
        )
    shape = np.broadcast_to(np.float32(0), tuple(X.shape))  # of one number, without memory
    validate_data(estimator, shape, reset=reset, dtype=None, ensure_all_finite=False)
    return X


def check_tensor(X: Any) -> None:
    """Raise `ValueError` that names column and row of the first number of a tensor (n, d) that is not finite."""
    torch = pytorch("a tensor")
    if not X.is_floating_point():
        return
    size = max(1, CHUNK // max(1, X.shape[1]))
    if X.device.type == "cuda":  # the host waits once, not after each chunk
        size *= 256
    for a in range(0, len(X), size):
        chunk = X[a : a + size]
        if torch.isfinite(chunk.sum(dtype=torch.float64 if X.dtype == torch.float64 else torch.float32)):
            continue
        bad = ~torch.isfinite(chunk)
        if bad.any():
            row, column = (int(i) for i in bad.nonzero()[0])
            raise_nonfinite(float(chunk[row, column]), a + row, f"column {column}")


# --- answers ----------------------------------------------------------------------------------------------------


def tensor_scores(model: Any, X: Any, probabilities: bool) -> Any:
    """Logits (n, q) of a tensor's rows, or their softmax: a tensor of PyTorch where X lies, or a NumPy array.

    float64 where X is that, float32 otherwise, as users of tensors expect.
    """
    if not _stays(X):
        answer = model._scores(to_numpy(X), probabilities)
        return answer.astype(np.float32) if _is_single(X) else answer
    tensor = _of_shape(model, to_torch(X), reset=False)
    torch = pytorch("a tensor")
    kind = torch.float32 if name_of(tensor) != "float64" else torch.float64
    some = tensor[:: max(1, len(tensor) // SAMPLED_ROWS)]
    wide = kind if model._single_serves(to_numpy(some)) else torch.float64
    with torch.no_grad():
        o = _logits(model, tensor, wide)
        if not torch.isfinite(o).all():
            check_tensor(tensor)
            o = _logits(model, tensor, torch.float64)
            refuse_overflow(torch.isfinite(o).all(1), lambda row: float(tensor[row].abs().max()))
        return (o.softmax(1) if probabilities else o).to(kind)


def _logits(model: Any, X: Any, kind: Any) -> Any:
    """`X W + b`, (n, q), a chunk of rows at a time: X may be of a smaller kind."""
    torch = pytorch("a tensor")
    W, b = (torch.from_numpy(np.ascontiguousarray(a)).to(X.device, kind) for a in (model.coef_.T, model.intercept_))
    if X.dtype == kind:
        return torch.addmm(b, X, W)
    size = max(1, CHUNK // max(1, X.shape[1]))
    return torch.cat([torch.addmm(b, X[a : a + size].to(kind), W) for a in range(0, len(X), size)])


def refuse_overflow(finite: Any, largest: Any) -> None:
    """Raise `ValueError` for the first row whose logits are not finite."""
    if not bool(finite.all()):
        row = int(to_numpy(finite).argmin())
        raise ValueError(
            f"row {row} of X holds numbers so large that its logits X W + b overflow (the largest is "
            f"{largest(row):g}). Look for a wrong unit or a damaged value in that row."
        )


def _is_single(X: Any) -> bool:
    return name_of(X) in ("float32", *SMALL_KINDS)


def classes_like(classes: Array, codes: Any, X: Any) -> Any:
    """The classes of these codes: an array of X's kind where they are numbers, of NumPy where they are text."""
    chosen = classes[to_numpy(codes)]
    return like(chosen, X) if classes.dtype.kind in "bif" else np.asarray(chosen)


def to_host(X: Any) -> Any:
    """Features in the host's memory, for what is not done on a device."""
    return X.numpy() if isinstance(X, OnDevice) else X
