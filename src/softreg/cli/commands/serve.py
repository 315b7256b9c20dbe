"""`softreg serve`: an HTTP service for model files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_message, print_warning
from softreg.serve.settings import MEGABYTE, ServeSettings, SettingsError, named_models

PACKAGES = ("uvicorn", "msgspec")
"""What the extra installs."""
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")


def serve_models(
    models: tuple[str, ...],
    *,
    host: str,
    port: int,
    workers: int,
    token_file: Path | None,
    max_mb: float,
    max_rows: int,
    timeout: float,
) -> None:
    """Serve model files until SIGTERM or Ctrl-C; raise `CommandError` for what cannot be served."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise CommandError(f"`softreg serve` needs {' and '.join(missing)}: pip install 'softreg[serve]'.")
    from softreg.serve.server import run_server
    from softreg.serve.settings import read_token

    try:
        named = named_models(models)
        for _, path in named:
            if not Path(path).is_file():
                what = "is a folder" if Path(path).is_dir() else "does not exist"
                raise CommandError(f"The model file {path!r} {what}; `softreg train` with --model writes one.")
        settings = ServeSettings(
            named,
            token_file=None if token_file is None else str(token_file.resolve()),
            max_bytes=int(max_mb * MEGABYTE),
            max_rows=max_rows,
            seconds=timeout,
            workers=workers,
        )
        is_open = host not in LOCAL_HOSTS and read_token(settings) is None

        def started(address: str) -> None:
            names = ", ".join(name for name, _ in named)
            print_message(f"Serving {names} on {address} (Ctrl-C to stop)")
            if is_open:
                print_warning(f"{host} can be reached from other machines, and requests need no token: --token-file.")

        run_server(settings, host, port, started)
    except SettingsError as error:
        raise CommandError(str(error)) from None
    print_message("Stopped.")
