"""Options whose value is left out on the command line: a default value, or an error that names what follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

PERCENT = 100.0
"""100%."""


def interval_level(context: click.Context | None, parameter: click.Parameter | None, value: Any) -> float | None:
    """Return the level of an interval, a number between 0 and 1 that may be in percent: the callback of an option.

    Parameters
    ----------
    context : click.Context or None
        Context of the command.
    parameter : click.Parameter or None
        The option.
    value : str, float or None
        Its value.

    Returns
    -------
    float or None
        The level; None for None.

    Raises
    ------
    click.BadParameter
        For anything else.

    Examples
    --------
    >>> interval_level(None, None, "0.9"), interval_level(None, None, "95%")
    (0.9, 0.95)
    """
    if value is None:
        return None
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%")) / (PERCENT if text.endswith("%") else 1)
    except ValueError:
        message = f"{text!r} is not a number between 0 and 1, such as 0.95."
        raise click.BadParameter(message, context, parameter) from None
    if not 0 < number < 1:
        percent = f" Write {number / PERCENT:g} for {number:g}%." if 1 < number < PERCENT else ""
        raise click.BadParameter(f"{text} must be between 0 and 1, such as 0.95.{percent}", context, parameter)
    return number


class OptionalNumber(click.Option):
    """An option with a number as value, which has a default value where no number follows it.

    Parameters
    ----------
    *args, **kwargs
        Arguments of `click.Option`.
    if_omitted : str
        Value of an option without a number.

    Examples
    --------
    >>> from click.testing import CliRunner
    >>> option = OptionalNumber(["--interval"], if_omitted="0.95", type=float)
    >>> command = ValueCheckingCommand("predict", params=[option, click.Argument(["data"])],
    ...                                callback=lambda interval, data: print(interval, data))
    >>> for arguments in (["--interval", "a.csv"], ["a.csv", "--interval"], ["--interval", "0.9", "a.csv"], ["a.csv"]):
    ...     print(CliRunner().invoke(command, arguments).output.strip())
    0.95 a.csv
    0.95 a.csv
    0.9 a.csv
    None a.csv
    """

    def __init__(self, *args: Any, if_omitted: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.if_omitted = if_omitted


class ValueCheckingCommand(click.Command):
    """A command in which an option does not take the next option as its value.

    Examples
    --------
    >>> from click.testing import CliRunner
    >>> command = ValueCheckingCommand("train", params=[click.Option(["--target"]), click.Option(["--model"])])
    >>> print(CliRunner().invoke(command, ["--target", "--model", "m"]).output.splitlines()[-1])
    Error: Option '--target' requires an argument, and the option '--model' follows it. (Write a value of this name as \
--target=--model.)
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments after a check of the options without a value."""
        return super().parse_args(ctx, list(self._with_values(ctx, args)))

    def _with_values(self, ctx: click.Context, args: list[str]) -> Iterator[str]:
        """Yield the arguments, with default values of options; raise `BadOptionUsage` for an option without a value."""
        options = {name: one for one in self.get_params(ctx) if isinstance(one, click.Option)
                   for name in (*one.opts, *one.secondary_opts)}  # fmt: skip
        place = 0
        while place < len(args):
            name, place = args[place], place + 1
            if name == "--":
                yield from args[place - 1 :]
                return
            option = options.get(name)
            if option is None or option.is_flag or option.count:
                yield name
                continue
            value = args[place] if place < len(args) else None
            if isinstance(option, OptionalNumber) and not _is_number(value):
                yield _joined(name, option.if_omitted)
                continue
            if value is not None and value.partition("=")[0] in options:
                raise click.BadOptionUsage(
                    name,
                    f"Option {name!r} requires an argument, and the option {value.partition('=')[0]!r} follows it. "
                    f"(Write a value of this name as {_joined(name, value)}.)",
                    ctx,
                )
            yield name
            if value is not None:
                place += 1
                yield value


def _joined(name: str, value: str) -> str:
    """Return an option with its value as one argument."""
    return f"{name}={value}" if name.startswith("--") else name + value


def _is_number(text: str | None) -> bool:
    """Return whether a text is meant as a number, in percent as well."""
    try:
        float((text or "").removesuffix("%"))
    except ValueError:
        return False
    return True
