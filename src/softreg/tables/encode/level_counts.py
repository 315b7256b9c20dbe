"""How often each level of a category or tag occurs, in bounded memory, and which levels get a feature."""

from __future__ import annotations

from collections.abc import Mapping

from softreg.tables.schema.kinds import FEW_LEVELS
from softreg.typing import Int64Array

RARE = 3
"""Of a column of many levels, a level with fewer rows than this has no feature of its own."""

MOST = 100_000
"""Levels of a column that have features of their own, at most: the most frequent ones."""

ROOM = 2_000_000
"""Different levels of a column that are counted at a time; beyond, those seen least are forgotten."""


class LevelCounter:
    """How often each level is seen; where there are too many, the rarest are forgotten, and that is counted."""

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self.counts: dict[str, int] = {}
        self.forgotten = 0

    def add(self, levels: list[str], counts: Int64Array) -> None:
        """Take the levels of one batch and their rows."""
        known = self.counts
        for level, count in zip(levels, counts.tolist(), strict=True):
            if count:
                known[level] = known.get(level, 0) + count
        least = 1
        while len(self.counts) > self.room:
            kept = {level: count for level, count in self.counts.items() if count > least}
            self.forgotten += len(self.counts) - len(kept)
            self.counts, least = kept, least + 1

    def best(self) -> tuple[tuple[str, ...], int]:
        """The levels that have features of their own, sorted, and how many are pooled."""
        counts = self.counts
        if len(counts) + self.forgotten <= FEW_LEVELS:
            return tuple(sorted(counts)), 0
        kept = [level for level, count in counts.items() if count >= RARE]
        if len(kept) > MOST:
            kept = sorted(kept, key=lambda level: (-counts[level], level))[:MOST]
        pooled = len(counts) - len(kept) + self.forgotten
        if pooled == 1 and not self.forgotten:
            return tuple(sorted(counts)), 0
        return tuple(sorted(kept)), pooled

    def rare(self, levels: tuple[str, ...]) -> tuple[str, ...]:
        """The levels that were seen and are not among these, sorted; none where some were forgotten, or are many."""
        if self.forgotten or len(self.counts) - len(levels) > MOST:
            return ()
        return tuple(sorted(self.counts.keys() - set(levels)))

    def merge(self, same: Mapping[str, str]) -> None:
        """Count levels as one that have the same text in `same`, which names all levels, or none."""
        if same:
            counts, self.counts = self.counts, {}
            for level, count in counts.items():
                self.counts[same[level]] = self.counts.get(same[level], 0) + count
