"""How hypothesis runs here: no time limit for one example, because machines are shared and pauses prove nothing."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("shared machines", deadline=None)
settings.load_profile("shared machines")
