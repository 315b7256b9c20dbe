"""Content-Security-Policy of pages that are one file and make no request."""

from __future__ import annotations

import base64
import hashlib


def content_policy(script: str, style: str) -> str:
    """Return a Content-Security-Policy that allows one script, one style sheet, and images that are part of the page.

    The policy forbids every request, every other script, forms, and a base address.

    Parameters
    ----------
    script : str
        Text of the `script` element, exactly as it is in the page.
    style : str
        Text of the `style` element.

    Returns
    -------
    str
        The policy, without characters that HTML would have to escape inside double quotes.

    Examples
    --------
    >>> content_policy("", "").split("; ")[:2]
    ["default-src 'none'", "script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"]
    """
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    """Return the hash of the text of an element, as a Content-Security-Policy writes it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
