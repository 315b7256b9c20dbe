"""The list of models under `/`, where there are several; each has the page of `softreg.export`."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def index_html(addresses: Mapping[str, str]) -> str:
    """Return the list of several models, that of `/`.

    Parameters
    ----------
    addresses : mapping of str to str
        Path of the page of each model by its name.

    Returns
    -------
    str
        HTML.
    """
    items = "".join(f'<li><a href="{escape(path)}">{escape(name)}</a>' for name, path in addresses.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Models</title><h1>Models</h1>'
        f'<ul>{items}</ul><p>The document of all paths is <a href="/openapi.json">/openapi.json</a>.</p></html>'
    )
