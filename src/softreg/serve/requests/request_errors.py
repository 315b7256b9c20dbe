"""Errors of requests: an HTTP status and one sentence."""

from __future__ import annotations


class RequestError(Exception):
    """A request that is answered with an error.

    Parameters
    ----------
    status : int
        Status of HTTP.
    message : str
        One sentence for the client, with the way out.
    headers : tuple of (bytes, bytes)
        Further headers of the response.
    close : bool
        Whether the connection is closed after the response.

    Examples
    --------
    >>> RequestError(422, "Row 1 lacks the column 'age'.").status
    422
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.headers, self.close = status, headers, close


class InvalidContent(RequestError):
    """A request whose content is invalid, status 422.

    Parameters
    ----------
    message : str
        One sentence for the client, with the way out.

    Examples
    --------
    >>> InvalidContent("Row 1 lacks the column 'age'.").status
    422
    """

    def __init__(self, message: str) -> None:
        super().__init__(INVALID, message)


INVALID = 422
"""Status of HTTP for invalid content."""


CUT = 80
"""Characters of a value that a message repeats."""


def shown(value: object) -> str:
    """Return a JSON value as it is written in a request, shortened, for a message.

    Parameters
    ----------
    value : object
        Value of parsed JSON.

    Returns
    -------
    str
        Text of limited length.

    Examples
    --------
    >>> shown(None), shown(True), shown("a" * 3), shown([1, 2]), shown({"a": 1})
    ('null', 'true', "'aaa'", 'a list', 'an object')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    text = repr(value)
    return text if len(text) <= CUT else f"{text[:CUT]}…"
