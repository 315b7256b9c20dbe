"""What the choice of terms found: held-out losses of the models that were compared, and the strength of each term."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from softreg.models.serialization import fields
from softreg.tables.fit.terms.term_layout import CURVE, DETAIL, INTERACTION, MISSING

LINEAR, REQUESTED = "linear", "requested"
"""Names of the linear model, and of one with the requested terms alone."""


@dataclass(frozen=True)
class StageLoss:
    """Held-out loss of a model.

    Attributes
    ----------
    name : str
        "linear", "curves" or "interactions".
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
        Term, such as `age`, `age=curve`, `age=detail` or `age:job`.
    precision : float
        Precision of its weights, the factor of the penalty.
    degrees : float
        Effective degrees of freedom, over the q - 1 contrasts of the classes, on the rows that chose the strength.
    column : str
        Column of the table; of an interaction both, as `age:job`.
    part : str
        "main", "curve", "detail" (of a curve, beyond its smoothest features) or "missing" of the column, or
        "interaction".
    """

    name: str
    precision: float
    degrees: float
    column: str
    part: str


@dataclass(frozen=True)
class TermSize:
    """The size of all terms of a column, or of an interaction.

    Attributes
    ----------
    column : str
        Column; of an interaction both, as `age:job`.
    part : str
        "curve" for a column with a curve, "interaction", or "main".
    degrees : float
        Effective degrees of freedom.
    """

    column: str
    part: str
    degrees: float


@dataclass(frozen=True)
class TermProgress:
    """Progress of the choice of terms: a model that was fitted.

    Attributes
    ----------
    model : str
        Name of the model, as of `StageLoss`.
    part, parts : int
        Number of the held-out part, from 1, and of all parts.
    log_loss : float
        Mean log loss of the held-out part in nats.
    """

    model: str
    part: int
    parts: int
    log_loss: float

    def __str__(self) -> str:
        return f"terms: {self.model}, held-out part {self.part} of {self.parts}, log loss {self.log_loss:.4f}"


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
    multiple : float
        Common multiple of the strengths that maximise the evidence, which held-out rows chose.
    curve_multiple, interaction_multiple : float
        Further multiple of the strengths of the curves, and of the interactions.
    """

    chosen: str
    stages: tuple[StageLoss, ...]
    strengths: tuple[TermStrength, ...]
    rows: int
    multiple: float = 1.0
    curve_multiple: float = 1.0
    interaction_multiple: float = 1.0

    @property
    def is_linear(self) -> bool:
        """Whether no larger model was better than the linear one."""
        return self.chosen == LINEAR

    def sizes(self) -> list[TermSize]:
        """Return the effective degrees of freedom of each column and interaction, the largest first."""
        found: dict[tuple[str, bool], TermSize] = {}
        for one in self.strengths:
            key = (one.column, one.part == INTERACTION)
            before = found.get(key, TermSize(one.column, one.part, 0.0))
            part = before.part if before.part in (CURVE, INTERACTION) or one.part in (DETAIL, MISSING) else one.part
            found[key] = TermSize(one.column, part, before.degrees + one.degrees)
        return sorted(found.values(), key=lambda size: -size.degrees)

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
            TermStrength(
                fields.text(one, "name"),
                fields.number(one, "precision"),
                fields.number(one, "degrees"),
                fields.text(one, "column"),
                fields.text(one, "part"),
            )
            for one in fields.mappings(state, "strengths")
        )
        named = ("multiple", "curve_multiple", "interaction_multiple")  # which files of earlier versions lack
        multiples = {name: fields.number(state, name, positive=True) for name in named if name in state}
        return cls(fields.text(state, "chosen"), stages, strengths, fields.count(state, "rows"), **multiples)
