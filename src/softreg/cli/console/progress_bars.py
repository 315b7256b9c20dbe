"""Progress of a fit and of the search for its strength, on stderr."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from softreg.cli.console.aligned_text import format_nats
from softreg.cli.console.messages import print_message

if TYPE_CHECKING:
    from softreg.models import PathPoint
    from softreg.optimize import Progress
    from softreg.tables import TermProgress

ProgressCallback = Callable[["Progress"], None]
SearchCallback = Callable[["PathPoint"], None]
SECONDS_BETWEEN_LINES = 1.0
"""Seconds between two lines of a log, and before rates and remaining time are shown."""
BAR_WIDTH = 30
"""Characters of the progress bar."""


@contextmanager
def show_fit_progress(tol: float, *, quiet: bool = False) -> Iterator[ProgressCallback]:
    """Show the progress of a fit: a bar on a terminal, otherwise a line per second.

    Warnings are deferred to the end, so that they do not interrupt the bar.

    Parameters
    ----------
    tol : float
        Tolerance of the fit, in nats.
    quiet : bool
        Whether nothing is shown.

    Yields
    ------
    callable
        Function to be called with each `Progress`.
    """
    with _deferred_warnings():
        if quiet:
            yield lambda record: None
        elif sys.stderr.isatty():
            with _progress_bar(tol) as callback:
                yield callback
        else:
            lines = ProgressLines(tol)
            yield lines
            lines.end()


@contextmanager
def show_search_progress(*, quiet: bool = False) -> Iterator[SearchCallback]:
    """Yield a function that prints a line for each strength that cross-validation has evaluated, or nothing."""
    with _deferred_warnings():
        yield (lambda point: None) if quiet else _print_search_point


@contextmanager
def show_search_and_fit(
    tol: float, *, quiet: bool = False
) -> Iterator[Callable[[Progress | PathPoint | TermProgress], None]]:
    """Yield a function for both: a line for each strength and model that was evaluated, then the progress of the fit.

    Parameters
    ----------
    tol : float
        Tolerance of the fit, in nats.
    quiet : bool
        Whether nothing is shown.

    Yields
    ------
    callable
        Function to be called with each record.
    """
    from softreg.optimize import Progress
    from softreg.tables import TermProgress

    with show_fit_progress(tol, quiet=quiet) as callback:

        def either(record: Progress | PathPoint | TermProgress) -> None:
            if isinstance(record, Progress):
                callback(record)
            elif isinstance(record, TermProgress):
                if not quiet:
                    print_message(str(record))
            elif not quiet:
                _print_search_point(record)

        yield either


def _print_search_point(point: PathPoint) -> None:
    """Print the cross-validated score of a strength."""
    error = f" ± {point.error:.4f} (1 SE)" if math.isfinite(point.error) else ""
    loss = f"log loss {point.log_loss:.4f}"
    score = f"{loss}{error}" if point.mean == point.log_loss else f"{loss}, score {point.mean:.4f}{error}"
    print_message(f"cross-validation: strength {point.strength:.3g}, {score}")


@contextmanager
def _deferred_warnings() -> Iterator[None]:
    """Defer warnings to the end of the context."""
    deferred: list[tuple[Any, ...]] = []
    show = warnings.showwarning
    warnings.showwarning = lambda *arguments: deferred.append(arguments)
    try:
        yield
    finally:
        warnings.showwarning = show
        for arguments in deferred:
            show(*arguments)


def progress_text(record: Progress, fraction: float = 0.0) -> str:
    """Describe the progress of a fit.

    Parameters
    ----------
    record : Progress
        State of the fit.
    fraction : float
        Estimated fraction of the fit that is done, for the remaining time.

    Returns
    -------
    str
        Passes, objective and gap, or rows while they are read; then seconds, rate and remaining time.

    Examples
    --------
    >>> from softreg.optimize import Progress
    >>> progress_text(Progress(3, 0.5, 1e-4, 2.0, rows=3_000_000), fraction=0.5)
    'pass 3: objective 0.500000 nats, gap 1.0e-04 nats, 2.0 s, 1,500,000 rows/s, about 2 s left'
    >>> progress_text(Progress(0, math.nan, math.inf, 2.0, rows=1000, total=3000))
    'reading: 1,000 of 3,000 rows, 2.0 s, 500 rows/s, about 4 s left'
    >>> progress_text(Progress(3, math.nan, 1e-4, 0.2))  # some methods compute the objective at the end only
    'pass 3: gap 1.0e-04 nats, 0.2 s'
    """
    reading = record.passes == 0 and math.isnan(record.value)
    if reading:
        of = "" if record.total is None else f" of {record.total:,}"
        text = f"reading: {record.rows:,}{of} rows, {record.seconds:.1f} s"
        fraction = record.rows / record.total if record.total else 0.0
    else:
        objective = "" if math.isnan(record.value) else f"objective {record.value:.6f} nats, "
        now = f"{objective}gap {format_nats(record.gap)}"
        text = f"pass {record.passes:,}: {now}, {record.seconds:.1f} s"
    if record.seconds < SECONDS_BETWEEN_LINES:  # too early for rates
        return text
    if record.rows:
        text += f", {record.rows / record.seconds:,.0f} rows/s"
    return text + (f", about {record.seconds * (1 - fraction) / fraction:.0f} s left" if 0 < fraction < 1 else "")


class ProgressLines:
    """Callback that prints the first record, then at most one per second, and the last, as for a log."""

    def __init__(self, tol: float = 0.0) -> None:
        self.due = -math.inf
        self.pending: Progress | None = None
        self.fraction = ProgressFraction(tol)

    def __call__(self, record: Progress) -> None:
        """Print the record, or keep it until the next line is due."""
        self.pending = record
        if record.seconds < self.due - SECONDS_BETWEEN_LINES:
            self.due = -math.inf  # a new phase, whose seconds start at 0
        if record.seconds >= self.due:
            self.end()
            self.due = record.seconds + SECONDS_BETWEEN_LINES

    def end(self) -> None:
        """Print the last record, if it has not been printed."""
        if self.pending is not None:
            print_message(progress_text(self.pending, self.fraction.update(self.pending.gap)))
        self.pending = None


@contextmanager
def _progress_bar(tol: float) -> Iterator[ProgressCallback]:
    """Yield a function that updates a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as ProgressBar

    columns = (TextColumn("Fitting"), BarColumn(bar_width=BAR_WIDTH), TextColumn("{task.fields[state]}"))
    with ProgressBar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fit", total=1.0, state="")
        progress = ProgressFraction(tol)

        def callback(record: Progress) -> None:
            fraction = progress.update(record.gap)
            bar.update(task, completed=fraction, state=progress_text(record, fraction))

        yield callback


class ProgressFraction:
    """Fraction of a fit that is done: from the first gap to the tolerance on a logarithmic scale.

    Parameters
    ----------
    tol : float
        Tolerance of the fit, in nats.

    Examples
    --------
    >>> fraction = ProgressFraction(tol=1e-6)
    >>> [round(fraction.update(gap), 2) for gap in (1.0, 1e-3, 1e-2, 1e-6, 1e-9)]
    [0.0, 0.5, 0.5, 1.0, 1.0]
    """

    def __init__(self, tol: float) -> None:
        self.tol = tol
        self.first = math.nan
        self.best = 0.0

    def update(self, gap: float) -> float:
        """Return the fraction after a record with this gap; it never decreases."""
        if math.isfinite(gap) and math.isnan(self.first):
            self.first = max(gap, 2 * self.tol)
        if math.isfinite(gap) and self.tol > 0:
            digits = math.log(self.first / self.tol)
            self.best = max(self.best, min(1.0, math.log(self.first / max(gap, self.tol)) / digits))
        return self.best
