"""What a person sees while waiting, and the few ways in which results are laid out."""

from __future__ import annotations

import math
import os
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len

from softreg.cli.console.command_errors import CommandError

if TYPE_CHECKING:
    from softreg.models import PathPoint
    from softreg.optimize import Progress

ProgressCallback = Callable[["Progress"], None]
MODEL_ENDINGS = (".softreg", ".safetensors")
REPORT_ENDINGS = (".html", ".htm")
SECONDS_BETWEEN_LINES = 1.0
MIN_SHOWN_GAP = 1e-12  # of a gap below, the digits are rounding errors
MAX_LABEL_LENGTH = 40  # characters of a label in a line


def print_message(text: str = "") -> None:
    """Print one line of news on stderr."""
    click.echo(text, err=True)


def print_note(text: str) -> None:
    """Print one choice that was made on stderr."""
    print_message(f"Note: {text}")


def print_warning(text: str) -> None:
    """Print a warning on stderr."""
    print_message(f"Warning: {text}")


def align_columns(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> str:
    """Lay rows out in columns, two blanks apart; the last column is as long as it likes.

    >>> print(align_columns([("rows", "150", "30 held out"), ("columns", "4", "")], indent=""))
    rows     150  30 held out
    columns  4
    """
    cells = [[escape_controls(cell) for cell in row] for row in rows]
    widths = [max(cell_len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(f"{indent}{line}".rstrip() for line in lines)


def escape_controls(text: str) -> str:
    """Text from a file as one line that leaves the terminal alone: control characters become escapes.

    >>> print(escape_controls("two\\nlines, \\x1b[31mred"))
    two\\nlines, \\x1b[31mred
    """
    moves = ("Cc", "Cs", "Zl", "Zp")
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in moves else c for c in text)


def truncate_label(label: str, longest: int = MAX_LABEL_LENGTH) -> str:
    """The beginning of a label, with an ellipsis where more follows.

    >>> truncate_label("Free entry in a competition", longest=11)
    'Free entry…'
    """
    return label if len(label) <= longest else label[: longest - 1].rstrip() + "…"


def format_nats(gap: float) -> str:
    """A gap in words.

    >>> format_nats(3.2e-7), format_nats(2e-19)
    ('3.2e-07 nats', '1.0e-12 nats')
    """
    return f"{max(gap, MIN_SHOWN_GAP):.1e} nats"


def check_writable(path: Path | None, endings: tuple[str, ...], option: str) -> None:
    """Raise `CommandError` where a result could not be written in the end: better now than after the work."""
    if path is None:
        return
    folder, named = path.parent, f"{option} {str(path)!r}"
    if path.suffix.lower() not in endings:
        raise CommandError(f"{named} should end in {' or '.join(endings)}, which says what will be written.")
    if not folder.exists():
        raise CommandError(f"{named}: the folder {str(folder)!r} does not exist; make it first.")
    if path.is_dir():
        raise CommandError(f"{named} is a folder; name a file in it.")
    if not folder.is_dir():
        raise CommandError(f"{named}: {str(folder)!r} is a file, not a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"{named}: nothing may be written in the folder {str(folder)!r}.")


def refuse_inputs(path: Path | None, option: str, inputs: Iterable[Path]) -> None:
    """Raise `CommandError` where the file that would be written is one of the `inputs`, which would be lost."""
    if path is None or not path.exists():
        return
    if any(other.exists() and path.samefile(other) for other in inputs):
        raise CommandError(
            f"{option} {str(path)!r} is a file that the command reads, which would be lost; name another."
        )


@contextmanager
def show_fit_progress(tol: float, *, quiet: bool = False) -> Iterator[ProgressCallback]:
    """Give a listener for a fit's progress: a bar on a terminal, else a plain line a second, or silence.

    Warnings wait until the end: in the middle, they would stand on the line of the bar.
    """
    with _deferred_warnings():
        if quiet:
            yield lambda record: None
        elif sys.stderr.isatty():
            with _bar(tol) as listener:
                yield listener
        else:
            lines = ProgressLines(tol)
            yield lines
            lines.end()


@contextmanager
def show_search_progress(*, quiet: bool = False) -> Iterator[Callable[[PathPoint], None]]:
    """Give a listener that prints one line for each strength that cross-validation has tried, or is silent."""
    with _deferred_warnings():
        yield (lambda point: None) if quiet else _print_search_point


@contextmanager
def show_search_and_fit(tol: float, *, quiet: bool = False) -> Iterator[Callable[[Any], None]]:
    """Give a listener for both: a line for each strength that was tried, then the progress of the fit."""
    with show_fit_progress(tol, quiet=quiet) as listener:

        def either(record: Any) -> None:
            if hasattr(record, "passes") and hasattr(record, "seconds"):
                listener(record)
            elif not quiet:
                _print_search_point(record)

        yield either


def _print_search_point(point: PathPoint) -> None:
    error = f" ± {point.error:.4f} (1 SE)" if math.isfinite(point.error) else ""
    loss = f"log loss {point.log_loss:.4f}"
    scored = f"{loss}{error}" if point.mean == point.log_loss else f"{loss}  score {point.mean:.4f}{error}"
    print_message(f"cross-validation: strength {point.strength:<8.3g}  {scored}")


@contextmanager
def _deferred_warnings() -> Iterator[None]:
    """Keep warnings back, and show them on leaving."""
    held: list[tuple[Any, ...]] = []
    show = warnings.showwarning
    warnings.showwarning = lambda *told: held.append(told)
    try:
        yield
    finally:
        warnings.showwarning = show
        for told in held:
            show(*told)


def _told(record: Progress, won: float = 0.0) -> str:
    """A record in words; `won` is the share of the way that is done.

    >>> from softreg.optimize import Progress
    >>> _told(Progress(3, 0.5, 1e-4, 2.0, rows=3_000_000), won=0.5)
    'pass 3: objective 0.500000 nats, gap 1.0e-04 nats, 2.0 s, 1,500,000 rows/s, about 2 s left'
    >>> _told(Progress(0, math.nan, math.inf, 2.0, rows=1000, total=3000))
    'reading: 1,000 of 3,000 rows, 2.0 s, 500 rows/s, about 4 s left'
    """
    reading = record.passes == 0 and math.isnan(record.value)
    if reading:
        of = "" if record.total is None else f" of {record.total:,}"
        words = f"reading: {record.rows:,}{of} rows, {record.seconds:.1f} s"
        won = record.rows / record.total if record.total else 0.0
    else:
        now = f"objective {record.value:.6f} nats, gap {format_nats(record.gap)}"
        words = f"pass {record.passes:,}: {now}, {record.seconds:.1f} s"
    if record.seconds < SECONDS_BETWEEN_LINES:  # nobody waits yet
        return words
    if record.rows:
        words += f", {record.rows / record.seconds:,.0f} rows/s"
    return words + (f", about {record.seconds * (1 - won) / won:.0f} s left" if 0 < won < 1 else "")


class ProgressLines:
    """A listener that prints the first record, then at most one a second, and the last: for logs."""

    def __init__(self, tol: float = 0.0) -> None:
        self.due = -math.inf
        self.kept: Progress | None = None
        self.share = ProgressFraction(tol)

    def __call__(self, record: Progress) -> None:
        """Print the record, or keep it back."""
        self.kept = record
        if record.seconds < self.due - SECONDS_BETWEEN_LINES:
            self.due = -math.inf  # a new phase, whose clock begins at 0
        if record.seconds >= self.due:
            self.end()
            self.due = record.seconds + SECONDS_BETWEEN_LINES

    def end(self) -> None:
        """Print the last record, if it was kept back."""
        if self.kept is not None:
            print_message(_told(self.kept, self.share.won(self.kept.gap)))
        self.kept = None


@contextmanager
def _bar(tol: float) -> Iterator[ProgressCallback]:
    """A listener that moves a bar; its length is the share of the digits of the gap that are won."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("Fitting"), BarColumn(bar_width=30), TextColumn("{task.fields[told]}"))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("fit", total=1.0, told="")
        share = ProgressFraction(tol)

        def listener(record: Progress) -> None:
            won = share.won(record.gap)
            bars.update(task, completed=won, told=_told(record, won))

        yield listener


class ProgressFraction:
    """How much of the way from the first gap to the tolerance is done, on a scale of digits.

    >>> share = ProgressFraction(tol=1e-6)
    >>> [round(share.won(gap), 2) for gap in (1.0, 1e-3, 1e-2, 1e-6, 1e-9)]
    [0.0, 0.5, 0.5, 1.0, 1.0]
    """

    def __init__(self, tol: float) -> None:
        self.tol = tol
        self.first = math.nan
        self.best = 0.0

    def won(self, gap: float) -> float:
        """The share after a record with this gap; it never goes back, since a bar that shrinks worries."""
        if math.isfinite(gap) and math.isnan(self.first):
            self.first = max(gap, 2 * self.tol)
        if math.isfinite(gap) and self.tol > 0:
            way = math.log(self.first / self.tol)
            self.best = max(self.best, min(1.0, math.log(self.first / max(gap, self.tol)) / way))
        return self.best
