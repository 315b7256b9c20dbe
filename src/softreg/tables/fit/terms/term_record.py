"""What the choice of terms found: held-out losses of the models that were compared, and the strength of each term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from softreg.models.serialization import fields


@dataclass(frozen=True)
class StageLoss:
    """Held-out loss of a model.

    Attributes
    ----------
    name : str
        "linear", "curves", "strong interactions" or "interactions".
    log_loss : float
        Mean held-out log loss in nats.
    excess, error : float
        Mean difference from the loss of the chosen model, and its standard error over rows.
    """

    name: str
    log_loss: float
    excess: float
    error: float


@dataclass(frozen=True)
class TermStrength:
    """The strength of a term.

    Attributes
    ----------
    name : str
        Term, such as `age`, `age=curve` or `age:job`.
    precision : float
        Precision of its weights, the factor of the penalty.
    degrees : float
        Effective degrees of freedom, over the q - 1 contrasts of the classes, on the rows that chose the strength.
    """

    name: str
    precision: float
    degrees: float


@dataclass(frozen=True)
class TermRecord:
    """The choice of the terms of a model.

    Attributes
    ----------
    chosen : str
        The model that was chosen: a name of `StageLoss`, or "requested" where only requested terms were fitted.
    stages : tuple of StageLoss
        Models that were compared; empty where only requested terms were fitted.
    strengths : tuple of TermStrength
        Strengths of the terms of the model; empty for the linear model, which has one strength.
    rows : int
        Rows on which the terms were chosen.
    """

    chosen: str
    stages: tuple[StageLoss, ...]
    strengths: tuple[TermStrength, ...]
    rows: int

    def to_state(self) -> dict[str, Any]:
        """Return the record as a JSON-serializable dict; `from_state` reads it."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TermRecord:
        """Return the record that `to_state` wrote; raise `ValueError` for any other state."""
        stages = tuple(
            StageLoss(fields.text(one, "name"), *(fields.number(one, key) for key in ("log_loss", "excess", "error")))
            for one in fields.mappings(state, "stages")
        )
        strengths = tuple(
            TermStrength(fields.text(one, "name"), *(fields.number(one, key) for key in ("precision", "degrees")))
            for one in fields.mappings(state, "strengths")
        )
        return cls(fields.text(state, "chosen"), stages, strengths, fields.count(state, "rows"))
