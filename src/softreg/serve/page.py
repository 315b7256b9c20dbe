"""The pages under `/` and `/models/NAME`: plain lists of what the service answers.

The service calls `page_html` for the page of a model, and `index_html` for the list of several.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from softreg.serve.served_models.served_model import ServedModel


def page_html(name: str, model: ServedModel) -> str:
    """Return the page of a model, that of `/models/NAME`, and of `/` where it is the only one.

    Parameters
    ----------
    name : str
        Name of the model.
    model : ServedModel
        The model: its columns with their JSON schemas, labels, and what it supports.

    Returns
    -------
    str
        HTML.
    """
    title = escape(name)
    columns = "".join(
        f"<tr><td>{escape(column.name)}<td>{escape(str(column.schema.get('description', '')))}"
        for column in model.columns.values()
    )
    classes = ", ".join(escape(text) for text in model.labels.texts)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
        f"<p>Version {escape(model.version)}. Classes: {classes}.</p>"
        f"<p>POST /models/{title}/predict, POST /v2/models/{title}/infer; the document of all paths is "
        '<a href="/openapi.json">/openapi.json</a>.</p>'
        f"<table><tr><th>column<th>values{columns}</table></html>"
    )


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
