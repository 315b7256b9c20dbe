"""A program as one HTML file that needs no server and makes no request."""

from __future__ import annotations

import html
from importlib.resources import files
from string import Template

from softreg.content_policy import content_policy
from softreg.export.javascript.module import javascript_literal, javascript_module
from softreg.export.page.pictures import term_pictures
from softreg.export.program import Program

SCRIPTS = ("numbers.js", "changes.js", "controls.js", "answer.js", "page.js")
"""Sources of the page in the order in which they are joined; they share one block scope."""
PICTURE_SCRIPT = "pictures.js"
"""Source of the markers in the pictures, which follows these in the page of a model with terms."""


def page_html(program: Program) -> str:
    """Return a program as an HTML page on which a model is tried.

    The page has a control for each input and shows the class probabilities, what each column contributes to them, and
    which change of one column changes the predicted class. The page of a model with terms has pictures of its curves
    and interactions, in which the values of the row are marked. It is a single file without references to others, and
    its Content-Security-Policy forbids every request.

    Parameters
    ----------
    program : Program
        A program.

    Returns
    -------
    str
        The page; its text is ASCII.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> from softreg.export import build_program
    >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    >>> page_html(build_program(model)).splitlines()[0]
    '<!doctype html>'
    """
    style, pictures = _source("page.css"), term_pictures(program.functions)
    scripts = [*map(_source, SCRIPTS)]
    if pictures.html:
        scripts += [f"const PICTURES = {javascript_literal(pictures.terms)};\n", _source(PICTURE_SCRIPT)]
    script = "\n".join([javascript_module(program), "{", *scripts, "}"])
    title = f"Prediction of {program.target}" if program.target else "Class probabilities"
    page = Template(_source("page.html")).substitute(
        title=html.escape(title), policy=content_policy(script, style), style=style, script=script,
        pictures=pictures.html,
    )  # fmt: skip
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _source(name: str) -> str:
    """Return the text of a file of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="ascii")
