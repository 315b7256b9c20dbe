"""Where exceptions become what a person reads: one paragraph, an exit code, no traceback."""

from __future__ import annotations

import errno
import os
import traceback
import warnings
from pathlib import Path
from typing import IO, Any

import click

from softreg import version

EXIT_USAGE = 2
ARGUMENTS = "softreg.arguments"
"""Where the context keeps the arguments of the command line, which reports show."""
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_SOURCE = str(Path(version.__file__).resolve().parent)
"""The folder of softreg's own source."""


class CommandError(click.ClickException):
    """Something in the input that the caller can correct, said in one paragraph on stderr; exit code 2."""

    exit_code = EXIT_USAGE

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the paragraph on stderr, as one line: the terminal wraps it, and it can still be searched."""
        click.echo(f"softreg: {' '.join(self.format_message().split())}", err=True, file=file)


class ErrorReportingGroup(click.Group):
    """The group of commands; it turns complaints, interrupts and warnings into plain lines on stderr.

    A `ValueError` that softreg itself raised is a complaint about the input, as is an `OSError`. Any other
    exception is a defect of softreg and keeps its traceback.
    """

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **kwargs: Any) -> click.Context:
        """Read the options of the group; what is wrong with them is told in one paragraph."""
        arguments = list(args)
        try:
            context = super().make_context(info_name, args, *rest, **kwargs)
            context.meta[ARGUMENTS] = arguments
            return context
        except click.UsageError as error:
            raise _usage_error(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command within the boundary."""
        with warnings.catch_warnings():
            warnings.showwarning = _say_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                click.echo("softreg: stopped by Ctrl-C; no file was left half-written.", err=True)
                ctx.exit(EXIT_INTERRUPTED)
            except click.UsageError as error:
                raise _usage_error(error) from None
            except OSError as error:
                if error.errno == errno.EPIPE:
                    raise  # click ends silently when the reader of a pipe has gone
                raise CommandError(_told(error)) from None
            except ValueError as error:
                if not _is_ours(error):
                    raise
                raise CommandError(str(error)) from None


def _usage_error(error: click.UsageError) -> CommandError:
    """A command line that is not understood, with the command whose help says how it goes."""
    command = error.ctx.command_path if error.ctx else "softreg"
    return CommandError(f"{error.format_message()} See `{command} --help`.")


def _told(error: OSError) -> str:
    """Words for an error of the file system; those that softreg wrote itself are kept."""
    if error.errno is None:
        return str(error)
    reason = os.strerror(error.errno)  # what Arrow raises names the same reason in many more words
    if error.filename is None:
        return f"The result could not be written: {reason}."
    return f"{os.fspath(error.filename)!r} cannot be used: {reason}."


def _is_ours(error: ValueError) -> bool:
    """Whether softreg's own source said `raise`: then the message was written for the caller."""
    from softreg.tables.columns.errors import TableError

    if isinstance(error, TableError):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or not frames[-1].filename.startswith(_SOURCE):
        return False
    line = frames[-1].line  # empty where the source is not at hand
    return not line or line.startswith("raise ")


def _say_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one paragraph on stderr."""
    click.echo(f"Warning: {' '.join(str(message).split())}", err=True)
