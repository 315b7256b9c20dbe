"""The body of a request, within limits of bytes and of time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from softreg.serve.requests.request_errors import RequestError
from softreg.serve.settings import ServeSettings

DRAINED_BYTES = 1 << 26
"""Bytes of a body that is too large that are read and thrown away, so that the client sees the answer."""
JSON_TYPES = (b"application/json",)


async def read_body(
    headers: list[tuple[bytes, bytes]], receive: Callable[[], Awaitable[dict[str, Any]]], settings: ServeSettings
) -> bytes:
    """Return the body of a request of JSON.

    Parameters
    ----------
    headers : list of (bytes, bytes)
        Headers of the request, names in lower case.
    receive : callable
        Channel of ASGI.
    settings : ServeSettings
        Limits.

    Returns
    -------
    bytes
        The body.

    Raises
    ------
    RequestError
        For another content type or an encoded body (415), too many bytes (413), or a client that is too slow (408).
    ConnectionAbortedError
        If the client has gone.
    """  # noqa: DOC501
    kind, declared = b"", -1
    for name, value in headers:
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise RequestError(415, "The body has a content encoding; send it without compression.", close=True)
        elif name == b"content-length" and value.isdigit():
            declared = int(value)
    if kind not in JSON_TYPES:
        raise RequestError(415, "The content type must be application/json.", close=declared != 0)
    if declared > settings.max_bytes + DRAINED_BYTES:
        raise _too_large(settings)
    try:
        async with asyncio.timeout(settings.seconds):
            return await _received(receive, settings)
    except TimeoutError:
        seconds = f"{settings.seconds:g}"
        raise RequestError(408, f"The body was not received within {seconds} seconds.", close=True) from None


async def _received(receive: Callable[[], Awaitable[dict[str, Any]]], settings: ServeSettings) -> bytes:
    """Return the parts of a body together; raise `RequestError` if they are too many."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        part = message.get("body", b"")
        size += len(part)
        if size <= settings.max_bytes:
            parts.append(part)
        else:
            parts.clear()
            if size > settings.max_bytes + DRAINED_BYTES:
                raise _too_large(settings)
        if not message.get("more_body", False):
            break
    if size > settings.max_bytes:
        raise _too_large(settings)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(settings: ServeSettings) -> RequestError:
    """Return the error of a body of too many bytes."""
    return RequestError(
        413, f"The body has more than {settings.max_bytes:,} bytes; send fewer rows in one request.", close=True
    )
