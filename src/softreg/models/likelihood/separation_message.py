"""Error message for separated classes, for which no finite optimum exists."""

from __future__ import annotations

from softreg.optimize.problem.result import Separation
from softreg.probability.label_arrays import spell
from softreg.typing import Array


def separation_message(separation: Separation, classes: Array, names: Array | None) -> str:
    """Return the message with the separated classes, the features that separate them, and the remedies."""
    a, b = (classes[k] for k in separation.classes)
    columns = ", ".join(repr(str(names[j])) if names is not None else f"column {j}" for j in separation.features)
    how = "completely" if separation.complete else "in part (quasi-complete separation)"
    return (
        "no finite optimum: without a penalty the weights diverge, because the features separate the classes "
        f"{how}. The classes {spell(a)} and {spell(b)} are separated mainly by {columns}. Use penalty='l2' with a "
        "strength above 0 (--strength 1e-4 on the command line) or penalty='firth', or leave those features out."
    )
