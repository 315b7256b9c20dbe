"""Tensors of other packages (PyTorch, CuPy, JAX, whatever speaks DLPack), taken in and given back as what they were.

PyTorch is imported only where it is needed, and never by `import softreg`.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from softreg.typing import Array

CPU, CUDA, CUDA_HOST, ROCM, CUDA_MANAGED = 1, 2, 3, 10, 13
"""DLPack's names of devices."""
NATIVE = ("float32", "float64")
"""Kinds of numbers that NumPy and softreg's own kernels multiply."""


def pytorch(wish: str) -> Any:
    """The package torch; raises `ImportError` that names the extra, for what the caller wishes to do.

    Example:
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
    """Whether X is an array of another package than NumPy that can be exchanged through DLPack.

    Example:
        >>> is_tensor(np.zeros(3)), is_tensor([1, 2])
        (False, False)
    """
    if isinstance(X, (np.ndarray, np.generic)) or not hasattr(type(X), "__dlpack__"):
        return False
    return type(X).__module__.split(".")[0] not in ("numpy", "pyarrow", "polars", "pandas")


def is_torch(X: Any) -> bool:
    """Whether X is a tensor of PyTorch."""
    torch = sys.modules.get("torch")  # who hands in a tensor has imported it
    return torch is not None and isinstance(X, torch.Tensor)


def on_host(X: Any) -> bool:
    """Whether a tensor's numbers lie in the host's memory."""
    return int(X.__dlpack_device__()[0]) in (CPU, CUDA_HOST)


def name_of(X: Any) -> str:
    """The name of a tensor's kind of numbers: "float32", "bfloat16", "uint8" and so on."""
    return str(X.dtype).rpartition(".")[2]


def to_torch(X: Any, wish: str = "a tensor on a device") -> Any:
    """X as a tensor of PyTorch where it lies; a copy only where the package has no other way."""
    torch = pytorch(wish)
    if is_torch(X):
        return X.detach()
    if isinstance(X, np.ndarray):
        if any(stride < 0 for stride in X.strides) or not X.dtype.isnative:
            X = X.astype(X.dtype.newbyteorder("="), order="C")
        with warnings.catch_warnings():  # of arrays that must not be written to: nothing here writes to them
            warnings.simplefilter("ignore", UserWarning)
            return torch.from_numpy(X)
    return torch.from_dlpack(X)


def to_numpy(X: Any) -> Array:
    """The numbers of a tensor as a NumPy array, without a copy where they lie in the host's memory; bfloat16, which
    NumPy lacks, becomes float32.

    Example:
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
    """An answer (a NumPy array or a tensor of PyTorch) as an array of the package, and on the device, of X.

    Example:
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
    """PyTorch's name of the device on which a tensor lies.

    Raises `ValueError` for a device that is none of CPU, CUDA and ROCm.
    """
    if is_torch(X):
        return str(X.device)
    kind = int(X.__dlpack_device__()[0])
    if kind not in (CPU, CUDA, CUDA_HOST, ROCM, CUDA_MANAGED):
        raise ValueError(
            f"X lies on a device of kind {kind} (DLPack), which softreg cannot compute on; hand in a host array."
        )
    return _torch_device(X)
