"""Messages on stderr about rows of a table that a command leaves out."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.cli.console.messages import print_message
from softreg.tables.columns.table_errors import pluralize

MAX_LISTED = 10
"""Rows that a message lists one by one."""
MAX_TEXT = 60
"""Characters of a row of text that a message shows; the reason why a picture is left out is shown as a whole."""


def print_skipped_rows(
    skipped: Sequence[tuple[str, int, str]], left_out: list[int], files: int = 1, *, reasons: bool = False
) -> None:
    """Print on stderr which rows were left out and why; `files` were read, and texts of rows may be `reasons`."""
    if skipped:
        some = "; ".join(
            f"row {row:,}{f' of {file!r}' if files > 1 else ''} ({text if reasons else repr(text[:MAX_TEXT])})"
            for file, row, text in skipped[:MAX_LISTED]
        )
        more = f"; and {len(skipped) - MAX_LISTED:,} more" if len(skipped) > MAX_LISTED else ""
        were = "was" if len(skipped) == 1 else "were"
        print_message(f"{pluralize(len(skipped), 'row')} could not be read and {were} left out: {some}{more}")
    if left_out:
        some = ", ".join(f"{row:,}" for row in left_out[:MAX_LISTED])
        more = f" and {len(left_out) - MAX_LISTED:,} more" if len(left_out) > MAX_LISTED else ""
        hold, were = ("holds", "was") if len(left_out) == 1 else ("hold", "were")
        count = pluralize(len(left_out), "row")
        print_message(f"{count} {hold} a value that is not of its column's kind and {were} left out: {some}{more}")
