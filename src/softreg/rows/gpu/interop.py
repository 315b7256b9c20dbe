"""Conversion of tensors of other packages (PyTorch, CuPy, JAX, any with DLPack) to NumPy and PyTorch, and back.

PyTorch is imported only when it is needed, and never by `import softreg`.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, TypeAlias

import numpy as np

from softreg.typing import Array

Tensor: TypeAlias = Any
"""A tensor of PyTorch or, where a function says so, of another package; PyTorch is optional, so it has no type here."""
Device: TypeAlias = Any
"""A `torch.device`."""

CPU, CUDA, CUDA_HOST, ROCM, CUDA_MANAGED = 1, 2, 3, 10, 13
"""Codes of devices in DLPack."""


def pytorch(wish: str) -> Any:
    """Return the package torch.

    Parameters
    ----------
    wish : str
        The operation that needs it, for the message.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If PyTorch is not installed; the message names the extra.

    Examples
    --------
    >>> from importlib.util import find_spec
    >>> find_spec("torch") is None or pytorch("an example").__name__ == "torch"
    True
    """
    try:
        import torch
    except ImportError:
        raise ImportError(f"{wish} needs PyTorch, which is not installed: pip install 'softreg[torch]'.") from None
    return torch


def is_tensor(X: Any) -> bool:
    """Return True if X is an array of a package other than NumPy that supports DLPack.

    Parameters
    ----------
    X : object

    Returns
    -------
    bool

    Examples
    --------
    >>> is_tensor(np.zeros(3)), is_tensor([1, 2])
    (False, False)
    """
    if isinstance(X, (np.ndarray, np.generic)) or not hasattr(type(X), "__dlpack__"):
        return False
    return type(X).__module__.split(".")[0] not in ("numpy", "pyarrow", "polars", "pandas")


def is_torch(X: Any) -> bool:
    """Return True if X is a tensor of PyTorch."""
    torch = sys.modules.get("torch")  # imported already if X is a tensor
    return torch is not None and isinstance(X, torch.Tensor)


def on_host(X: Any) -> bool:
    """Return True if a tensor is in the host's memory."""
    return int(X.__dlpack_device__()[0]) in (CPU, CUDA_HOST)


def name_of(X: Any) -> str:
    """Return the name of a tensor's dtype: "float32", "bfloat16", "uint8" and so on."""
    return str(X.dtype).rpartition(".")[2]


def to_torch(X: Any, wish: str = "a tensor on a device") -> Any:
    """Return X as a tensor of PyTorch on its device, without a copy if its package allows that."""
    torch = pytorch(wish)
    if is_torch(X):
        return X.detach()
    if isinstance(X, np.ndarray):
        if any(stride < 0 for stride in X.strides) or not X.dtype.isnative:
            X = X.astype(X.dtype.newbyteorder("="), order="C")
        with warnings.catch_warnings():  # read-only arrays: nothing here writes to them
            warnings.simplefilter("ignore", UserWarning)
            return torch.from_numpy(X)
    return torch.from_dlpack(X)


def to_numpy(X: Any) -> Array:
    """Return a tensor as a NumPy array, without a copy if it is in the host's memory.

    bfloat16, which NumPy lacks, becomes float32.

    Parameters
    ----------
    X : ndarray or tensor

    Returns
    -------
    ndarray

    Examples
    --------
    >>> to_numpy(np.arange(2))
    array([0, 1])
    """
    if isinstance(X, np.ndarray):
        return X
    if is_torch(X):
        X = X.detach().resolve_conj().resolve_neg().cpu()
        return np.asarray((X.float() if name_of(X) == "bfloat16" else X).numpy())
    if on_host(X):
        if name_of(X) == "bfloat16":
            return np.asarray(X, dtype=np.float32)
        return np.from_dlpack(X)
    return to_numpy(to_torch(X, f"{type(X).__module__.split('.')[0]} on a GPU"))


def like(answer: Any, X: Any) -> Any:
    """Return an array in the package of X, and on its device.

    Parameters
    ----------
    answer : ndarray or torch.Tensor
    X : ndarray or tensor

    Returns
    -------
    ndarray or tensor

    Examples
    --------
    >>> like(np.ones(2), np.zeros((2, 3)))
    array([1., 1.])
    """
    if not is_tensor(X):
        return to_numpy(answer)
    if is_torch(X):
        return to_torch(answer).to(X.device)
    if isinstance(answer, np.ndarray) and not on_host(X):
        answer = to_torch(answer).to(_torch_device(X))
    elif not isinstance(answer, np.ndarray) and on_host(X):
        answer = to_numpy(answer)
    space = X.__array_namespace__() if hasattr(X, "__array_namespace__") else sys.modules[type(X).__module__]
    return space.from_dlpack(answer)


def _torch_device(X: Any) -> str:
    kind, index = X.__dlpack_device__()
    return "cpu" if int(kind) in (CPU, CUDA_HOST) else f"cuda:{int(index)}"


def device_of(X: Any) -> str:
    """Return PyTorch's name of the device on which a tensor is.

    Parameters
    ----------
    X : tensor

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the device is none of CPU, CUDA and ROCm.
    """
    if is_torch(X):
        return str(X.device)
    kind = int(X.__dlpack_device__()[0])
    if kind not in (CPU, CUDA, CUDA_HOST, ROCM, CUDA_MANAGED):
        raise ValueError(
            f"X lies on a device of kind {kind} (DLPack), which softreg cannot compute on; hand in a host array."
        )
    return _torch_device(X)
