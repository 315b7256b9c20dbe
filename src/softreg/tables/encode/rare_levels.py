"""How often each level of a category or tag occurs, in bounded memory, and which levels get a feature."""

from __future__ import annotations

from collections.abc import Mapping

from softreg.tables.schema.kinds import FEW_LEVELS
from softreg.typing import Int64Array

MIN_ROWS = 3
"""Rows that a level needs for a feature of its own, in a column of more than `FEW_LEVELS` levels."""

MAX_FEATURES = 100_000
"""Most levels of a column with a feature of their own: the most frequent ones."""

MAX_COUNTED = 2_000_000
"""Most distinct levels of a column in memory; beyond, the least frequent are dropped."""


class LevelCounter:
    """Counts of levels in bounded memory: beyond `max_levels` distinct ones, the least frequent are dropped."""

    def __init__(self, max_levels: int = MAX_COUNTED) -> None:
        self.max_levels = max_levels
        self.counts: dict[str, int] = {}
        self.dropped = 0

    def add(self, levels: list[str], counts: Int64Array) -> None:
        """Add the levels of one batch and their numbers of rows."""
        totals = self.counts
        for level, count in zip(levels, counts.tolist(), strict=True):
            if count:
                totals[level] = totals.get(level, 0) + count
        self._limit()

    def update(self, later: LevelCounter) -> None:
        """Add the counts of the rows that follow."""
        for level, count in later.counts.items():
            self.counts[level] = self.counts.get(level, 0) + count
        self.dropped += later.dropped
        self._limit()

    def _limit(self) -> None:
        """Drop the least frequent levels while there are more than `max_levels`."""
        least = 1
        while len(self.counts) > self.max_levels:
            kept = {level: count for level, count in self.counts.items() if count > least}
            self.dropped += len(self.counts) - len(kept)
            self.counts, least = kept, least + 1

    def frequent_levels(self) -> tuple[tuple[str, ...], int]:
        """Return the levels with a feature of their own, sorted, and the number of pooled levels."""
        counts = self.counts
        if len(counts) + self.dropped <= FEW_LEVELS:
            return tuple(sorted(counts)), 0
        kept = [level for level, count in counts.items() if count >= MIN_ROWS]
        if len(kept) > MAX_FEATURES:
            kept = sorted(kept, key=lambda level: (-counts[level], level))[:MAX_FEATURES]
        pooled = len(counts) - len(kept) + self.dropped
        if pooled == 1 and not self.dropped:
            return tuple(sorted(counts)), 0
        return tuple(sorted(kept)), pooled

    def rare_levels(self, levels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the counted levels that are not among `levels`, sorted; empty if some were dropped or too many."""
        if self.dropped or len(self.counts) - len(levels) > MAX_FEATURES:
            return ()
        return tuple(sorted(self.counts.keys() - set(levels)))

    def merge(self, same: Mapping[str, str]) -> None:
        """Add up the counts of levels that have the same text in `same`, which maps all levels, or none."""
        if same:
            counts, self.counts = self.counts, {}
            for level, count in counts.items():
                self.counts[same[level]] = self.counts.get(same[level], 0) + count
