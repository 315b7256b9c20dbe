"""The loss of a stack of models on logits on a device: the operations of `probability.block_loss` for tensors.

Row-major, unlike those of NumPy: logits are (b, m, q) for b rows, m models and q classes, since a device reduces the
last axis at the speed of its memory. Row weights V are (b, m), (b, 1) or None; labels are codes (b,) or label
probabilities (b, q). Sums over the rows are in float64, taken in an order that depends on the shapes alone.
"""

from __future__ import annotations

from softreg.rows.gpu.interop import Tensor


def label_values(values: Tensor, labels: Tensor) -> Tensor:
    """Return the value of each label, (b, m)."""
    if labels.ndim == 1:
        return values.gather(2, _places(values, labels))[..., 0]
    return (values * labels[:, None].to(values.dtype)).sum(2)


def _places(values: Tensor, labels: Tensor) -> Tensor:
    return labels[:, None, None].expand(values.shape[0], values.shape[1], 1)


def weigh(values: Tensor, V: Tensor) -> Tensor:
    """Return the weighted sums over the rows (m,) of values (b, m)."""
    wide = values.double()
    return (wide if V is None else wide * V).sum(0)


def residual(P: Tensor, labels: Tensor, V: Tensor) -> Tensor:
    """Return `V * (P - Y)`, (b, m, q), written over P."""
    if labels.ndim == 1:
        places = _places(P, labels)
        P.scatter_(2, places, P.gather(2, places) - 1)  # a row has one label: no two write to one place
    else:
        P -= labels[:, None].to(P.dtype)
    if V is not None:
        P *= V[..., None].to(P.dtype)
    return P


def loss_and_probabilities(o: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    """Return summed cross-entropy (m,) and softmax (b, m, q); losses near 0 keep their relative precision."""
    top, largest = o.max(2, keepdim=True)
    z = o - top
    below = label_values(z, labels)
    if labels.ndim == 2:
        below = below - top[..., 0] * (1 - labels.sum(1, keepdim=True)).to(o.dtype)
    place = _places(o, labels) if labels.ndim == 1 else largest
    P = z.exp()
    p_label = P.gather(2, place)
    rest = P.scatter(2, place, 0.0).sum(2, keepdim=True)
    mass = rest + p_label
    log_mass = rest.log1p().where(p_label == 1, mass.log())
    return weigh(log_mass[..., 0] - below, V), P / mass


def label_confidence(P: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the probability of the label (b, m), and summed `V p` and `V p (1 - p)` of each class (m, q)."""
    codes = labels if labels.ndim == 1 else labels.argmax(1)
    p_label = P.gather(2, _places(P, codes))[..., 0]
    weighted = P if V is None else P * V[..., None].to(P.dtype)
    class_mass = total(weighted)
    return p_label, class_mass, class_mass - total(weighted * P)


def total(values: Tensor) -> Tensor:
    """Return the sums over the rows in float64.

    Rows are first added in float32 in runs of 256, then in float64: a float64 copy of all would double the cost.

    Parameters
    ----------
    values : torch.Tensor of shape (b, ...)

    Returns
    -------
    torch.Tensor of shape (...)
    """
    b, run = values.shape[0], 256
    if str(values.dtype) == "torch.float64" or b < 2 * run:
        return values.double().sum(0)
    whole = b - b % run
    parts = values[:whole].view(whole // run, run, *values.shape[1:]).sum(1).double().sum(0)
    return parts + values[whole:].double().sum(0)


def along(o: Tensor, step: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return value, slope and curvature (m,) of the loss at logits o in the direction `step`."""
    value, P = loss_and_probabilities(o, labels, V)
    mean = (P * step).sum(2)
    variance = (P * (step - mean[..., None]) ** 2).sum(2)
    return value, weigh(mean - label_values(step, labels), V), weigh(variance, V)


def bias_sums(o: Tensor, labels: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    """Return summed residual (m, q) and curvature `diag(p) - p p^T` (m, q, q)."""
    P = o.softmax(2)
    weighted = P if V is None else P * V[..., None].to(P.dtype)
    K = -squares(weighted, P).double()
    K.diagonal(dim1=1, dim2=2).add_(total(weighted))
    return total(residual(P, labels, V)), K


def squares(A: Tensor, B: Tensor) -> Tensor:
    """Return the sum over the rows of `a b^T`, (m, q, q) for A and B (b, m, q)."""
    return A.permute(1, 2, 0) @ B.permute(1, 0, 2)


def mixed_entropy(o: Tensor, labels: Tensor, V: Tensor, share: Tensor, offset: Tensor | None = None) -> Tensor:
    """Return the summed entropy (m,) of `Q = Y + share * (P - Y)`, plus `<Q - Y, offset>` for an offset (b, q)."""
    P = o.softmax(2)
    gained = 0.0
    if offset is not None:
        fixed = offset[:, None].to(P.dtype)
        gained = ((P * fixed).sum(2) - label_values(fixed, labels)) * share
    P *= share[None, :, None]
    if labels.ndim == 1:
        places = _places(P, labels)
        P.scatter_(2, places, P.gather(2, places) + (1 - share)[None, :, None])
    else:
        P += (1 - share)[None, :, None] * labels[:, None].to(P.dtype)
    return weigh(gained - P.xlogy(P).sum(2), V)
