"""Settings of the service, which worker processes read from the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SETTINGS_VARIABLE = "SOFTREG_SERVE"
"""Variable of the environment that holds the settings for worker processes."""
TOKEN_VARIABLE = "SOFTREG_TOKEN"
"""Variable of the environment that holds the bearer token."""
MEGABYTE = 1 << 20


class SettingsError(ValueError):
    """Settings that cannot be used, with the way out in the message.

    Examples
    --------
    >>> issubclass(SettingsError, ValueError)
    True
    """


@dataclass(frozen=True)
class ServeSettings:
    """Settings of the service.

    Attributes
    ----------
    models : tuple of (str, str)
        Name and file of each model.
    token_file : str or None
        File of the bearer token; None for the environment variable SOFTREG_TOKEN, or no token without it.
    max_bytes : int
        Largest request body.
    max_rows : int
        Most rows of a request.
    seconds : float
        Limit of the time of a request: of receiving its body, and of computing its answer.
    poll_seconds : float
        Time between two looks at the model files.
    workers : int
        Number of processes.

    Examples
    --------
    >>> settings = ServeSettings((("bank", "bank.softreg"),))
    >>> ServeSettings.from_text(settings.to_text()) == settings
    True
    """

    models: tuple[tuple[str, str], ...]
    token_file: str | None = None
    max_bytes: int = 16 * MEGABYTE
    max_rows: int = 10_000
    seconds: float = 30.0
    poll_seconds: float = 1.0
    workers: int = 1

    def to_text(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> ServeSettings:
        """Return the settings that `to_text` wrote."""
        state = json.loads(text)
        models = tuple((str(name), str(path)) for name, path in state.pop("models"))
        return cls(models, **state)


def named_models(arguments: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return name and absolute path of each model file.

    Parameters
    ----------
    arguments : sequence of str
        `FILE`, whose name without ending is that of the model, or `NAME=FILE`.

    Returns
    -------
    tuple of (str, str)
        Names and paths.

    Raises
    ------
    SettingsError
        If a name is empty, has a slash, or occurs twice.

    Examples
    --------
    >>> [name for name, _ in named_models(["models/bank.softreg", "new=models/bank2.softreg"])]
    ['bank', 'new']
    """
    found: dict[str, str] = {}
    for argument in arguments:
        before, sign, after = argument.partition("=")
        is_named = bool(sign) and not Path(argument).exists()
        name, path = (before.strip(), after) if is_named else (Path(argument).stem, argument)
        if not name or "/" in name or not name.isprintable():
            raise SettingsError(
                f"{name!r} cannot be the name of a model in an address; give another one: NAME={path or 'FILE'}."
            )
        if not path:
            raise SettingsError(f"{argument!r} names no file; write {name}=FILE.")
        if name in found:
            raise SettingsError(
                f"{found[name]!r} and {path!r} would both be named {name!r}; name one of them: NAME={path}."
            )
        found[name] = path
    return tuple((name, os.path.abspath(path)) for name, path in found.items())


def read_token(settings: ServeSettings, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """Return the bearer token that requests need, None if they need none.

    Parameters
    ----------
    settings : ServeSettings
        Settings, with the file of the token.
    environment : mapping of str to str
        Variables, of which SOFTREG_TOKEN is the token where no file is named.

    Returns
    -------
    bytes or None
        Token.

    Raises
    ------
    SettingsError
        If the token is empty or cannot stand in a header, or the file cannot be read.

    Examples
    --------
    >>> read_token(ServeSettings(()), {"SOFTREG_TOKEN": "secret"})
    b'secret'
    """
    if settings.token_file is not None:
        try:
            text, where = Path(settings.token_file).read_text("utf-8"), repr(settings.token_file)
        except (OSError, UnicodeDecodeError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is not text"
            raise SettingsError(f"The token file {settings.token_file!r} cannot be read: {reason}.") from None
    elif TOKEN_VARIABLE in environment:
        text, where = environment[TOKEN_VARIABLE], f"the variable {TOKEN_VARIABLE}"
    else:
        return None
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(f"The token in {where} is empty or not of visible ASCII characters only; write a new one.")
    return token.encode()
