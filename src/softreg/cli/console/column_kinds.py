"""The kinds of columns on the terminal."""

from __future__ import annotations

from collections import Counter

from softreg.cli.console.aligned_text import align_columns
from softreg.cli.console.messages import print_message
from softreg.tables import Schema

MAX_LISTED_COLUMNS = 40
"""Columns whose kinds are listed on the terminal."""


def print_columns(columns: list[tuple[str, str, str]]) -> None:
    """Print the kind of each column, and the reason, on stderr."""
    print_message("Kinds of columns:")
    print_message(align_columns(columns[:MAX_LISTED_COLUMNS]))
    if len(columns) > MAX_LISTED_COLUMNS:
        more = len(columns) - MAX_LISTED_COLUMNS
        print_message(f"  and {more:,} more, which `softreg inspect` lists for a saved model")


def count_kinds(schema: Schema) -> str:
    """Return how many features have which kind, as in "7 numbers, 6 categories and 3 booleans"; the form of images."""
    if schema.image is not None:
        return str(schema.image.image)
    plurals = {"category": "categories", "tags": "columns of tags"}
    counts = Counter(column.kind.value for column in schema.features)
    parts = [f"{n:,} {plurals.get(kind, f'{kind}s') if n > 1 else kind}" for kind, n in counts.most_common()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
