"""Arrays on a device: choice of the device, transfer, precision of products, and errors if its memory is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from softreg.rows.gpu.interop import Device, Tensor, device_of, is_tensor, name_of, pytorch, to_torch
from softreg.typing import Array

MAX_FILLED_SHARE = 0.6
"""Share of a device's free memory that rows may fill; the rest is for logits."""
KINDS = ("float16", "bfloat16", "float32", "float64", "uint8")
"""Dtypes that are stored on a device; all others become float32, or float64 if float32 would lose digits."""
EXACT_IN_FLOAT32 = ("bool", "int8", "int16", "uint16")


def find_device(name: Any) -> Device:
    """Return the PyTorch device of this name.

    Parameters
    ----------
    name : str or torch.device
        "cuda", "cuda:1", "cpu" and so on.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the name is not that of a device, or PyTorch finds no such GPU.
    ImportError
        If PyTorch is not installed.

    Examples
    --------
    >>> find_device("abacus")
    Traceback (most recent call last):
    ...
    ValueError: device='abacus' is none of "cpu", "cuda", "cuda:1" and so on; None computes where the rows are.
    """
    text = str(name)
    if text.split(":")[0] not in ("cpu", "cuda") or not (isinstance(name, str) or type(name).__name__ == "device"):
        raise ValueError(
            f'device={name!r} is none of "cpu", "cuda", "cuda:1" and so on; None computes where the rows are.'
        )
    torch = pytorch(f"device={text!r}")
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise ValueError(f"device={text!r}: {error}") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            seen = f"sees {count} CUDA device{'s' * (count != 1)}" if count else "sees no CUDA device"
            raise ValueError(
                f"device={text!r}: PyTorch {torch.__version__} {seen}. Ask `nvidia-smi` whether the GPU and its driver "
                "are there, install a PyTorch that was built for CUDA, or leave device out to compute on the CPU."
            )
        return torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
    return device


class OnDevice:
    """Features X (n, d), on a device or in the host's memory, and the device that multiplies them.

    Parameters
    ----------
    tensor : torch.Tensor of shape (n, d)
        The stored numbers. If they are on the host and the device is a GPU, blocks of rows are copied there each time
        they are read.
    device : torch.device
    unit : float
        Factor of the stored numbers.
    streamed : bool
        Whether rows are copied block by block in any case.

    Examples
    --------
    >>> OnDevice(np.zeros((3, 2)), None).shape
    (3, 2)
    """

    def __init__(self, tensor: Tensor, device: Device, unit: float = 1.0, streamed: bool = False) -> None:
        self.tensor, self.device, self.unit = tensor, device, unit
        self.streamed = streamed or getattr(tensor, "device", device) != device
        n, d = tensor.shape
        self.shape = (int(n), int(d))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of products: float64 for float64, float32 for all others."""
        return np.dtype(np.float64 if name_of(self.tensor) == "float64" else np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> OnDevice:
        """Return some of the rows: those of a slice, or of a mask or indices (NumPy arrays)."""
        if not isinstance(rows, slice):
            rows = to_torch(np.ascontiguousarray(rows)).to(self.tensor.device)
        return OnDevice(self.tensor[rows], self.device, self.unit, self.streamed)

    def numpy(self) -> Array:
        """Return the numbers in the host's memory, in the dtype of products."""
        wide = self.tensor.cpu().to(getattr(pytorch("X"), str(self.dtype)))
        return np.asarray(wide.numpy() * self.dtype.type(self.unit) if self.unit != 1.0 else wide.numpy())


def to_device(X: Any, device: Device) -> OnDevice:
    """Return X for products on a device: on it already, copied to it, or streamed.

    A host array that fills more than `MAX_FILLED_SHARE` of the free memory of a GPU stays on the host.

    Parameters
    ----------
    X : ndarray or tensor of shape (n, d)
    device : torch.device

    Returns
    -------
    OnDevice
    """
    tensor = _as_supported(to_torch(X) if is_tensor(X) or isinstance(X, np.ndarray) else to_torch(np.asarray(X)))
    if tensor.device != device:
        if tensor.device.type != "cpu":
            tensor = tensor.to(device)
        elif device.type == "cuda" and tensor.numel() * tensor.element_size() <= MAX_FILLED_SHARE * free_memory(device):
            tensor = tensor.contiguous().to(device)
    if tensor.stride(-1) != 1:
        tensor = tensor.contiguous()
    return OnDevice(tensor, device)


def on_its_device(X: Any) -> OnDevice:
    """Return a tensor for products on the device where it is."""
    return to_device(X, find_device(device_of(X)))


def _as_supported(tensor: Tensor) -> Tensor:
    """Return the tensor in a dtype that devices multiply."""
    name = name_of(tensor)
    if name in KINDS:
        return tensor
    if name.startswith("complex") or name.startswith("float"):
        raise ValueError(
            f"Complex data not supported: X holds {name}. softreg multiplies real numbers: {', '.join(KINDS)}."
            if name.startswith("complex")
            else f"X holds {name}, which softreg cannot multiply; use {', '.join(KINDS)}."
        )
    return tensor.float() if name in EXACT_IN_FLOAT32 else tensor.double()


@contextmanager
def products(device: Device, reduced_precision: bool) -> Iterator[None]:
    """Set the precision of float32 products on a GPU, TF32 or full, and restore the user's setting at the end."""
    torch = pytorch("products on a device")
    if device.type != "cuda":  # other devices multiply in full precision
        yield
        return
    newer = None
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # raised if the user has set PyTorch's newer option
        before, newer = "highest", torch.backends.cuda.matmul.fp32_precision
    torch.set_float32_matmul_precision("high" if reduced_precision else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        if newer is not None:
            torch.backends.cuda.matmul.fp32_precision = newer


def free_memory(device: Device) -> int:
    """Return the free bytes of a GPU, including those that PyTorch has reserved and does not use."""
    torch = pytorch("a GPU")
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) + int(torch.cuda.memory_reserved(device)) - int(torch.cuda.memory_allocated(device))


def out_of_memory_error(error: BaseException, X: OnDevice, k: int) -> MemoryError:
    """Return the error for a device whose memory is too small: memory required, memory available, and remedies.

    Parameters
    ----------
    error : BaseException
        The error of PyTorch.
    X : OnDevice
    k : int
        Columns of logits.

    Returns
    -------
    MemoryError

    Examples
    --------
    >>> X = OnDevice(np.zeros((1000, 50)), "cuda")
    >>> print(str(out_of_memory_error(RuntimeError("out of memory"), X, 10))[:84])
    the memory of cuda is too small: X (1,000 x 50) takes 0.0 GiB and stays in the host,
    """
    n, d = X.shape
    size = n * d * X.tensor.itemsize / 2**30
    logits = 2 * n * k * X.dtype.itemsize / 2**30
    place = f"takes {size:.1f} GiB {'and stays in the host' if X.streamed else 'there'}"
    free = f", {free_memory(X.device) / 2**30:.1f} GiB are free" if getattr(X.device, "type", "") == "cuda" else ""
    return MemoryError(
        f"the memory of {X.device} is too small: X ({n:,} x {d:,}) {place}, two copies of the logits of {k} columns "
        f"{logits:.1f} GiB{free} ({error}). Hand in X as a host array (NumPy, or a CPU tensor) with "
        f"device='{getattr(X.device, 'type', X.device)}', and it streams through the device; or store it in bfloat16, "
        "free other tensors, or fit fewer models at once."
    )
