"""The page under `/`: a plain list of what the service answers, to be replaced by a form for each model."""

from __future__ import annotations

from html import escape

from softreg.serve.served_models.served_model import ServedModel


def page_html(name: str, model: ServedModel) -> str:
    """Return the page of a model; the service calls this function for `/` and `/models/NAME`.

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
        "<p>POST /models/NAME/predict, POST /v2/models/NAME/infer; the document of all paths is "
        '<a href="/openapi.json">/openapi.json</a>.</p>'
        f"<table><tr><th>column<th>values{columns}</table></html>"
    )
