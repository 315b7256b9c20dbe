"""Lines on stderr: messages, notes and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from softreg.report import Audit


def print_message(text: str = "") -> None:
    """Print one line on stderr."""
    click.echo(text, err=True)


def print_note(text: str) -> None:
    """Print a choice that softreg made, on stderr."""
    print_message(f"Note: {text}")


def print_warning(text: str) -> None:
    """Print a warning on stderr."""
    print_message(f"Warning: {text}")


def print_model_warnings(audit: Audit, information: Sequence[tuple[str, float]] = ()) -> None:
    """Print warnings of leakage, an accuracy of 100% and miscalibration; `information` is that of columns, in nats."""
    from softreg.report.page.model_warnings import model_warnings  # imported here, since it loads the report

    for warning in model_warnings(audit, information):
        print_warning(warning)
