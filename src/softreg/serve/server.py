"""Running the application with uvicorn: one process or several, signals, and connections that send nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from softreg.serve.application import Application
from softreg.serve.served_models.registry import ModelRegistry
from softreg.serve.settings import SETTINGS_VARIABLE, ServeSettings, SettingsError, read_token

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as HttpProtocol
except ImportError:  # uvicorn without its optional parser
    from uvicorn.protocols.http.h11_impl import H11Protocol as HttpProtocol

HEAD_SECONDS = 15.0
"""Time in which a connection has to send the head of a request."""
SHUTDOWN_SECONDS = 5
"""Time beyond the limit of a request after which a stopping server cancels requests."""
TCP, NO_DELAY = 6, 1
"""Level and option of sockets (IPPROTO_TCP, TCP_NODELAY) by which the body of a response does not wait for the
acknowledgement of its head; asyncio sets it only for sockets that it has bound itself."""
FACTORY = "softreg.serve.server:worker_application"
BAD_REQUEST = b'{"error":"The request is no valid HTTP."}'


class TimedProtocol(HttpProtocol):  # type: ignore[misc]
    """The protocol of uvicorn with a limit of the time in which the head of a request arrives."""

    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Send responses at once, and begin the time of the first head."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(TCP, NO_DELAY, 1)
        self._begin()

    def data_received(self, data: bytes) -> None:
        """End the time when a head is complete."""
        super().data_received(data)
        if self.deadline is not None and self.cycle is not None and not self.cycle.response_complete:
            self._end()

    def on_response_complete(self) -> None:
        """Begin the time of the next head."""
        super().on_response_complete()
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the time with the connection."""
        self._end()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with the JSON of an error, and close the connection."""
        if not self.transport.is_closing():
            head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            self.transport.write(head % len(BAD_REQUEST) + b"connection: close\r\n\r\n" + BAD_REQUEST)
            self.transport.close()

    def _begin(self) -> None:
        self._end()
        if not self.transport.is_closing():
            self.deadline = self.loop.call_later(HEAD_SECONDS, self._expire)

    def _end(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def _expire(self) -> None:
        self.deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def worker_application() -> Application:
    """Return the application of a worker process, whose settings are in the environment."""
    configure_log()
    application = Application.from_environment()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # uvicorn handles it from now on
    return application


def configure_log() -> None:
    """Write the log of the service to stderr; requests, tokens and values of rows are not logged."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    for name, level in (("softreg.serve", logging.INFO), ("uvicorn.error", logging.CRITICAL)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    warnings.simplefilter("ignore")  # warnings repeat values of rows


def run_server(settings: ServeSettings, host: str, port: int, on_start: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, and then finish the requests in flight.

    Parameters
    ----------
    settings : ServeSettings
        Settings.
    host, port
        Address; port 0 for any free port.
    on_start : callable
        Function that receives the address when it accepts connections.

    Raises
    ------
    SettingsError
        If the address cannot be used, or the token.
    OSError
        If a model file cannot be read.
    ModelFileError
        If a model file is damaged.
    """
    token = read_token(settings)
    registry = ModelRegistry.open(settings.models)  # also for several processes, so that errors are reported once
    several = settings.workers > 1
    config = uvicorn.Config(
        FACTORY if several else Application(settings, registry, token),
        factory=several,
        host=host,
        port=port,
        http=TimedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        workers=settings.workers,
        timeout_graceful_shutdown=int(settings.seconds) + SHUTDOWN_SECONDS,
    )
    sock = _bound_socket(config, host, port)
    configure_log()
    bound = sock.getsockname()[1]
    address = f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
    before = {number: signal.signal(number, _ignored) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if several:
            os.environ[SETTINGS_VARIABLE] = settings.to_text()
            sock.listen(config.backlog)
            on_start(address)
            _Workers(config, sockets=[sock]).run()
        else:
            _Server(config, lambda: on_start(address)).run(sockets=[sock])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Workers(Multiprocess):  # type: ignore[misc]
    """Worker processes that begin with Ctrl-C blocked, so that none of them fails with a traceback while it imports."""

    def init_processes(self) -> None:
        """Start the processes."""
        with _interrupts_blocked():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        """Start processes in place of those that have ended."""
        with _interrupts_blocked():
            super().keep_subprocess_alive()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block SIGINT in this thread and the processes that it starts; one that arrives is handled afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it unblocks SIGINT when it starts, as it would at the first process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Server(uvicorn.Server):  # type: ignore[misc]
    """The server of uvicorn, which calls a function when it accepts connections."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_start = on_start

    async def startup(self, sockets: Any = None) -> None:
        """Start, and report it."""
        await super().startup(sockets=sockets)
        if self.started:
            self.on_start()


def _ignored(*_: object) -> None:
    """Ignore a signal that uvicorn has handled and raises again."""


def _bound_socket(config: uvicorn.Config, host: str, port: int) -> Any:
    """Return the socket of the address; raise `SettingsError` where it cannot be bound."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
    try:
        return config.bind_socket()
    except SystemExit as ended:  # uvicorn ends the process for an address that it cannot bind
        error = ended.__context__
    except (OSError, OverflowError) as failed:
        error = failed
    reason = getattr(error, "strerror", None) or str(error)
    raise SettingsError(
        f"The address {host}:{port} cannot be used: {reason}; choose another one with --host and --port (0 for any "
        "free port)."
    )
