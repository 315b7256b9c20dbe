"""All contestants, softreg first."""

from __future__ import annotations

from many import baselines, fasttext_models, softreg_model, torch_models
from many.contestant_protocol import Contestant


def contestants() -> list[Contestant]:
    """Return the contestants in the order of the tables."""
    return [
        found for module in (softreg_model, torch_models, fasttext_models, baselines) for found in module.contestants()
    ]
