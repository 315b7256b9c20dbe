"""The coordinates of a point on the regularization path."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class PenaltySpec:
    """A penalty of the path: its strength, its share of l1, and how much of the l1 part remains on the support.

    Parameters
    ----------
    strength : float
        Strength of the penalty.
    l1_ratio : float
        Share of the l1 part, between 0 and 1.
    relaxed : float
        Share of the l1 part that remains in the fit on the support; 1 for the elastic net itself.

    Examples
    --------
    >>> spec = PenaltySpec(1.0, 0.5, 0.1)
    >>> spec.l1, spec.l2
    (0.05, 0.5)
    """

    strength: float
    l1_ratio: float
    relaxed: float = 1.0

    @property
    def l1(self) -> float:
        """Strength of the l1 part."""
        return self.strength * self.l1_ratio * self.relaxed

    @property
    def l2(self) -> float:
        """Strength of the l2 part."""
        return self.strength * (1 - self.l1_ratio)

    @property
    def is_relaxed(self) -> bool:
        """Whether this is a fit on the support of an elastic net with less of the l1 part."""
        return self.relaxed < 1

    @property
    def elastic_net(self) -> PenaltySpec:
        """The elastic net that selects the support."""
        return replace(self, relaxed=1.0)
