"""Help of a command with its options under headings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from softreg.cli.console.option_values import ValueCheckingCommand

OTHER_OPTIONS = "Other options"
"""Heading of the options that no heading lists."""


def given_options(context: click.Context) -> frozenset[str]:
    """Return the long names of the options that the command line names, as "--drop"."""
    return frozenset(
        parameter.opts[0]
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    )


class GroupedCommand(ValueCheckingCommand):
    """A command whose help lists its options under headings.

    Parameters
    ----------
    headings : mapping of str to sequence of str
        Names of options, such as "--drop", by heading; other options are listed under "Other options".
    *args, **kwargs
        Arguments of `click.Command`.

    Examples
    --------
    >>> from click.testing import CliRunner
    >>> options = [click.Option(["--seed"]), click.Option(["--drop"])]
    >>> command = GroupedCommand("train", params=options, headings={"Columns": ["--drop"], "Rows": ["--seed"]})
    >>> [line for line in CliRunner().invoke(command, ["--help"]).output.splitlines() if line.endswith(":")]
    ['Columns:', 'Rows:', 'Other options:']
    """

    def __init__(self, *args: Any, headings: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.headings = headings

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        heading_of = {option: heading for heading, options in self.headings.items() for option in options}
        parts: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*self.headings, OTHER_OPTIONS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                parts[next((heading_of[name] for name in parameter.opts if name in heading_of), OTHER_OPTIONS)].append(
                    record
                )
        for heading, records in parts.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
