"""The loss of a stack of models on logits that lie on a device: what `probability.block_loss` says, for tensors.

Row-major, unlike NumPy's: logits are (b, m, q) for b rows, m models and q classes, since a device takes maxima and sums
over the last axis at the speed of its memory. Row weights V are (b, m), (b, 1) or None; labels are codes (b,) or label
probabilities (b, q). Sums over the rows are in float64, taken in an order that depends on the shapes alone.
"""

from __future__ import annotations

from typing import Any


def given(values: Any, labels: Any) -> Any:
    """The value of the given label, (b, m)."""
    if labels.ndim == 1:
        return values.gather(2, _places(values, labels))[..., 0]
    return (values * labels[:, None].to(values.dtype)).sum(2)


def _places(values: Any, labels: Any) -> Any:
    return labels[:, None, None].expand(values.shape[0], values.shape[1], 1)


def weigh(values: Any, V: Any) -> Any:
    """Sums over the rows (m,) of one number a row and model, (b, m)."""
    wide = values.double()
    return (wide if V is None else wide * V).sum(0)


def residual(P: Any, labels: Any, V: Any) -> Any:
    """`V * (P - Y)`, (b, m, q), written over P."""
    if labels.ndim == 1:
        places = _places(P, labels)
        P.scatter_(2, places, P.gather(2, places) - 1)  # a row has one label: no two write to one place
    else:
        P -= labels[:, None].to(P.dtype)
    if V is not None:
        P *= V[..., None].to(P.dtype)
    return P


def loss_and_probabilities(o: Any, labels: Any, V: Any) -> tuple[Any, Any]:
    """Summed cross-entropy (m,) and softmax (b, m, q); sure rows keep the digits of their loss."""
    top, largest = o.max(2, keepdim=True)
    z = o - top
    below = given(z, labels)
    if labels.ndim == 2:
        below = below - top[..., 0] * (1 - labels.sum(1, keepdim=True)).to(o.dtype)
    place = _places(o, labels) if labels.ndim == 1 else largest
    P = z.exp()
    own = P.gather(2, place)
    rest = P.scatter(2, place, 0.0).sum(2, keepdim=True)
    mass = rest + own
    log_mass = rest.log1p().where(own == 1, mass.log())
    return weigh(log_mass[..., 0] - below, V), P / mass


def label_confidence(P: Any, labels: Any, V: Any) -> tuple[Any, Any, Any]:
    """Probability of the label (b, m), summed `V p` and `V p (1 - p)` of each class (m, q)."""
    codes = labels if labels.ndim == 1 else labels.argmax(1)
    own = P.gather(2, _places(P, codes))[..., 0]
    weighted = P if V is None else P * V[..., None].to(P.dtype)
    predicted = total(weighted)
    return own, predicted, predicted - total(weighted * P)


def total(values: Any) -> Any:
    """Sums over the rows, (b, ...) -> (...), in float64.

    Rows are first added in float32 by a few hundred, then in float64: a float64 copy of all would cost as much again.
    """
    b, run = values.shape[0], 256
    if str(values.dtype) == "torch.float64" or b < 2 * run:
        return values.double().sum(0)
    whole = b - b % run
    parts = values[:whole].view(whole // run, run, *values.shape[1:]).sum(1).double().sum(0)
    return parts + values[whole:].double().sum(0)


def along(o: Any, step: Any, labels: Any, V: Any) -> tuple[Any, Any, Any]:
    """Value, slope and curvature (m,) of the loss at logits o in the direction `step`."""
    value, P = loss_and_probabilities(o, labels, V)
    mean = (P * step).sum(2)
    variance = (P * (step - mean[..., None]) ** 2).sum(2)
    return value, weigh(mean - given(step, labels), V), weigh(variance, V)


def bias_sums(o: Any, labels: Any, V: Any) -> tuple[Any, Any]:
    """Summed residual (m, q) and curvature `diag(p) - p p^T` (m, q, q)."""
    P = o.softmax(2)
    weighted = P if V is None else P * V[..., None].to(P.dtype)
    K = -squares(weighted, P).double()
    K.diagonal(dim1=1, dim2=2).add_(total(weighted))
    return total(residual(P, labels, V)), K


def squares(A: Any, B: Any) -> Any:
    """Sum over the rows of `a b^T`, (m, q, q) for A and B (b, m, q)."""
    return A.permute(1, 2, 0) @ B.permute(1, 0, 2)


def mixed_entropy(o: Any, labels: Any, V: Any, share: Any) -> Any:
    """Summed entropy (m,) of `Y + share * (P - Y)`."""
    P = o.softmax(2) * share[None, :, None]
    if labels.ndim == 1:
        places = _places(P, labels)
        P.scatter_(2, places, P.gather(2, places) + (1 - share)[None, :, None])
    else:
        P += (1 - share)[None, :, None] * labels[:, None].to(P.dtype)
    return weigh(-P.xlogy(P).sum(2), V)
