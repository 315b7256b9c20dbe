"""A command whose help lists its options under headings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click


class GroupedCommand(click.Command):
    """A command with headings for its options: `headings` has the names of options (as "--drop") by heading.

    Options that no heading names are listed under the last one, those with `--help` under "Other options".

    Example:
        >>> from click.testing import CliRunner
        >>> options = [click.Option(["--seed"]), click.Option(["--drop"])]
        >>> command = GroupedCommand("train", params=options, headings={"Columns": ["--drop"], "Rows": ["--seed"]})
        >>> [line for line in CliRunner().invoke(command, ["--help"]).output.splitlines() if line.endswith(":")]
        ['Columns:', 'Rows:', 'Other options:']
    """

    def __init__(self, *args: Any, headings: Mapping[str, Sequence[str]], **more: Any) -> None:
        super().__init__(*args, **more)
        self.headings = headings

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, heading by heading."""
        rest = "Other options"
        of = {option: heading for heading, options in self.headings.items() for option in options}
        parts: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*self.headings, rest)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                parts[next((of[name] for name in parameter.opts if name in of), rest)].append(record)
        for heading, records in parts.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
