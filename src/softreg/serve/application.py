"""The service as an ASGI application: routes, limits, token, metrics, and one sentence for every error."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from softreg.serve.inference_protocol import (
    inference_response,
    model_metadata,
    read_inputs,
    requested_outputs,
)
from softreg.serve.metrics import CONTENT_TYPE, Metrics
from softreg.serve.openapi import openapi_document, path_segment
from softreg.serve.page import index_html
from softreg.serve.predict_rows import read_request, response
from softreg.serve.requests.read_body import read_body
from softreg.serve.requests.request_errors import RequestError
from softreg.serve.requests.strict_json import parse_json
from softreg.serve.served_models.registry import ModelRegistry, ModelSlot
from softreg.serve.settings import SETTINGS_VARIABLE, ServeSettings, read_token
from softreg.version import __version__

LOGGER = logging.getLogger("softreg.serve")
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
JSON, HTML = b"application/json", b"text/html; charset=utf-8"
HEALTH = ("/v2/health/live", "/v2/health/ready")
"""Paths that need no token."""
THREADS = 2
"""Threads for large requests; small ones are answered by the event loop."""
MAX_WAITING = 32
"""Large requests that wait for a thread; further ones are answered with 503."""
HTML_POLICY = (b"content-security-policy", b"default-src 'self' 'unsafe-inline' data:; frame-ancestors 'none'")


@dataclass
class Reply:
    """A response: body, content type and status, with the model and its rows for the metrics."""

    body: bytes
    content_type: bytes = JSON
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    model: str = ""
    rows: int = 0


@dataclass
class Request:
    """A request: method, parts of the path, headers and the channel of its body."""

    method: str
    path: tuple[str, ...]
    headers: list[tuple[bytes, bytes]]
    receive: Receive
    model: str = ""
    """Name of the model, once it is known, for metrics."""


class Application:
    """The ASGI application.

    Parameters
    ----------
    settings : ServeSettings
        Settings.
    registry : ModelRegistry
        Models.
    token : bytes or None
        Bearer token that requests need.

    Attributes
    ----------
    metrics : Metrics
        Counters of this process.
    """

    def __init__(self, settings: ServeSettings, registry: ModelRegistry, token: bytes | None = None) -> None:
        self.settings, self.registry, self.token = settings, registry, token
        self.metrics = Metrics({"process": str(os.getpid())} if settings.workers > 1 else {})
        self.encoder = msgspec.json.Encoder()
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="softreg")
        self.waiting = 0
        self.document = (-1, b"")
        self.watcher: asyncio.Task[None] | None = None

    @classmethod
    def from_environment(cls) -> Application:
        """Return the application that the environment describes, for worker processes."""
        settings = ServeSettings.from_text(os.environ[SETTINGS_VARIABLE])
        return cls(settings, ModelRegistry.open(settings.models), read_token(settings))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan of the server."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Watch the model files while the server runs."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.watcher = asyncio.create_task(self._watch())
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self.watcher is not None:
                    self.watcher.cancel()
                self.threads.shutdown(wait=False, cancel_futures=True)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _watch(self) -> None:
        """Look at the model files from time to time, in a thread, and replace changed models."""
        while True:
            await asyncio.sleep(self.settings.poll_seconds)
            try:
                await asyncio.get_running_loop().run_in_executor(None, self.registry.check)
            except Exception:  # the watch goes on, whatever a file does
                LOGGER.error("the model files could not be looked at: %s", _frames())

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of HTTP."""
        start = time.perf_counter()
        path = tuple(scope["path"].split("/")[1:])
        request = Request(scope["method"], path, scope["headers"], receive)
        try:
            self._authorize(scope)
            reply = await self._route(request)
        except RequestError as error:
            reply = self._error(error.status, str(error))
            reply.headers += error.headers
            if error.close:
                reply.headers.append((b"connection", b"close"))
        except ConnectionAbortedError:  # the client has gone
            self.metrics.count(request.model, CLIENT_CLOSED)
            return
        except Exception:
            LOGGER.error("a request failed by a defect: %s", _frames())
            reply = self._error(500, "The request failed by a defect of the service, which is in its log.")
        model = reply.model or request.model
        self.metrics.count(model, reply.status, rows=reply.rows, seconds=time.perf_counter() - start)
        headers = [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else reply.body})

    def _authorize(self, scope: Scope) -> None:
        """Raise `RequestError` 401 where a token is needed and the request does not have it."""
        if self.token is None or scope["path"] in HEALTH:
            return
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        kind, _, token = given.partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self.token):
            raise RequestError(
                401,
                "The request needs the token of the service: Authorization: Bearer TOKEN.",
                headers=((b"www-authenticate", b"Bearer"),),
            )

    def _error(self, status: int, message: str) -> Reply:
        return Reply(self.encoder.encode({"error": message}), status=status)

    def _json(self, value: Any, **others: Any) -> Reply:
        return Reply(self.encoder.encode(value), **others)

    async def _route(self, request: Request) -> Reply:
        """Return the reply to a request; raise `RequestError` 404 or 405 without one."""
        match request.path:
            case ("predict",):
                _require(request, "POST")
                return await self._predict(request, self.registry.only())
            case ("models", name, "predict"):
                slot = self._slot(request, name)
                _require(request, "POST")
                return await self._predict(request, slot)
            case ("v2", "models", name, *rest):
                return await self._protocol(request, name, rest)
            case _:
                return self._document(request)

    def _slot(self, request: Request, name: str) -> ModelSlot:
        """Return the model of a request."""
        slot = self.registry.get(name)
        request.model = slot.name
        return slot

    def _document(self, request: Request) -> Reply:
        """Return the reply to a request of no model: pages, metadata, metrics."""
        replies: dict[tuple[str, ...], Callable[[], Reply]] = {
            ("",): self._page,
            ("openapi.json",): self._openapi,
            ("metrics",): lambda: Reply(self.metrics.text(self.registry.gauges()).encode(), CONTENT_TYPE),
            ("v2",): lambda: self._json({"name": "softreg", "version": __version__, "extensions": []}),
            ("v2", "health", "live"): lambda: self._json({"live": True}),
            ("v2", "health", "ready"): lambda: self._json({"live": True, "ready": True}),
        }
        reply = replies.get(request.path)
        if reply is None and len(request.path) == 2 and request.path[0] == "models":
            slot = self._slot(request, request.path[1])
            _require(request, "GET")
            return Reply(slot.page(), HTML, headers=[HTML_POLICY])
        if reply is None:
            raise RequestError(404, "There is nothing under this path; /openapi.json lists the paths.")
        _require(request, "GET")
        return reply()

    def _page(self) -> Reply:
        """Return the page of the only model, or the list of several."""
        slots = list(self.registry)
        if len(slots) == 1:
            page = slots[0].page()
        else:
            page = index_html({slot.name: f"/models/{path_segment(slot.name)}" for slot in slots}).encode()
        return Reply(page, HTML, headers=[HTML_POLICY])

    def _openapi(self) -> Reply:
        """Return the OpenAPI document, which is made once for each state of the models."""
        if self.document[0] != self.registry.changes:
            changes = self.registry.changes
            document = openapi_document(list(self.registry), self.settings, self.token is not None)
            self.document = (changes, self.encoder.encode(document))
        return Reply(self.document[1])

    async def _protocol(self, request: Request, name: str, rest: list[str]) -> Reply:
        """Return the reply to a request of the Open Inference Protocol."""
        slot = self._slot(request, name)
        if len(rest) >= 2 and rest[0] == "versions":
            if rest[1] != slot.model.version:
                raise RequestError(404, f"The model {name!r} has the version {slot.model.version!r} only.")
            rest = rest[2:]
        match rest:
            case []:
                _require(request, "GET")
                return self._json(model_metadata(name, slot.model))
            case ["ready"]:
                _require(request, "GET")
                return self._json({"name": name, "ready": True})
            case ["infer"]:
                _require(request, "POST")
                return await self._infer(request, slot)
        raise RequestError(404, "There is nothing under this path; /openapi.json lists the paths.")

    async def _predict(self, request: Request, slot: ModelSlot) -> Reply:
        """Return the predictions of rows."""
        request.model, model = slot.name, slot.model
        body = await read_body(request.headers, request.receive, self.settings)

        def compute() -> Reply:
            checked = read_request(model, parse_json(body), self.settings.max_rows)
            answer = model.answer(checked.columns, checked.n, level=checked.level, contributions=checked.contributions)
            return self._json(response(model, checked, answer), model=slot.name, rows=checked.n)

        return await self._computed(compute, body)

    async def _infer(self, request: Request, slot: ModelSlot) -> Reply:
        """Return the outputs of an inference request."""
        model = slot.model
        body = await read_body(request.headers, request.receive, self.settings)

        def compute() -> Reply:
            parsed = parse_json(body)
            columns, n = read_inputs(model, parsed, self.settings.max_rows)
            outputs = requested_outputs(parsed)
            answer = model.answer(columns, n)
            value = inference_response(slot.name, model, parsed, answer, outputs=outputs)
            return self._json(value, model=slot.name, rows=n)

        return await self._computed(compute, body)

    async def _computed(self, compute: Callable[[], Reply], body: bytes) -> Reply:
        """Return the reply of a small request at once, and of a large one from a thread, within the limit of time."""
        if len(body) <= SMALL_BYTES:
            return compute()
        if self.waiting >= MAX_WAITING:
            raise RequestError(503, "The service is busy with large requests; try again in a moment.", headers=RETRY)
        self.waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self.threads, compute)
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(future, self.settings.seconds)
        except TimeoutError:
            seconds = f"{self.settings.seconds:g}"
            raise RequestError(
                503, f"The request was not answered within {seconds} seconds; send fewer rows.", headers=RETRY
            ) from None

    def _done(self, future: asyncio.Future[Reply]) -> None:
        """Count a large request as answered."""
        self.waiting -= 1
        with suppress(asyncio.CancelledError):
            future.exception()  # so that an error after the limit of time is no warning


SMALL_BYTES = 8192
"""Bytes of a body up to which a request is answered by the event loop, in a few milliseconds."""
CLIENT_CLOSED = 499
"""Status under which requests are counted whose client has gone."""
RETRY = ((b"retry-after", b"1"),)


def _require(request: Request, method: str) -> None:
    """Raise `RequestError` 405 for another method; HEAD is a GET without a body."""
    allowed = ("GET", "HEAD") if method == "GET" else (method,)
    if request.method not in allowed:
        raise RequestError(
            405,
            f"This path has no {request.method[:20]}; use {method}.",
            headers=((b"allow", ", ".join(allowed).encode()),),
        )


def _frames() -> str:
    """Return where the present exception was raised, without its message, which may hold values of rows."""
    kind, _, trace = sys.exc_info()
    frames = [f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]
    return f"{kind.__name__ if kind else '?'} in {' > '.join(frames)}"
