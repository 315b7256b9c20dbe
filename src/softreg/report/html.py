"""The page: one file that loads nothing and runs no script."""

from __future__ import annotations

import os
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from softreg.files import atomic_path
from softreg.report import answers, plots, trust_views, verdict, views, words
from softreg.report.acting import gains
from softreg.report.data import WHY, ReportData


def render_report(data: ReportData) -> str:
    """Write a report as one HTML page, with its style and its pictures inside.

    The page is the same, byte for byte, for the same `data`. It follows the reader's choice of light or dark,
    fits a phone, and prints. Names of classes and columns, and texts of cells, are shown as text whatever
    they contain; what is too long or too much for a page to be read is cut, and the page says so.

    >>> from softreg.report import audit
    >>> found = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "<b>"])
    >>> page = render_report(ReportData("Ham or spam", found))
    >>> page[:15], "&lt;b&gt;" in page, "<b>" in page
    ('<!doctype html>', True, False)
    """
    audit = data.audit
    return _template().render(
        data=data,
        audit=audit,
        style=Markup(_file("page.css")),
        lead=answers.lead(audit, "features" if data.trained else "probabilities"),
        answers=answers.answers(data),
        results=views.results(audit, data.results),
        verdict=verdict.verdict(audit),
        calibration_card=trust_views.calibration_card(audit),
        assumptions=answers.assumptions(audit),
        trust=trust_views.trust(audit),
        calibration_test=trust_views.calibration_test(audit),
        costs=trust_views.costs(data.operating, audit.classes) if data.operating else None,
        information=trust_views.information(data),
        code_length=trust_views.code_length(data),
        effects=trust_views.effects(data) if data.effects else None,
        confusion=views.confusion(audit),
        with_shares=len(audit.classes) <= views.MOST_CLASSES_WITH_SHARES,
        pairs=views.confused_pairs(audit),
        per_class=views.per_class(audit),
        heaviest=views.heaviest(data),
        open_classes=views.OPEN_CLASSES,
        most_lines=views.MOST_LINES,
        columns=views.columns(data),
        row_table=views.row_table,
        why=WHY,
        **_pictures(data),
    )


def _pictures(data: ReportData) -> dict[str, Any]:
    """The figures of the page, with the tables that belong to them."""
    audit, found = data.audit, gains(data.audit)
    path = data.path if data.path is not None and len(data.path.strength) > 1 else None
    return {
        "curves": [
            (curve, plots.reliability_diagram(curve, f"reliability{i}"), words.bins_within(curve), views.bins(curve))
            for i, curve in enumerate(audit.reliability)
        ],
        "class_curves": plots.class_curves(audit.trust.curves, "classes") if len(audit.classes) > 2 else None,
        "gains": found,
        "gain_curve": plots.gain_curve(found, "gains") if found else None,
        "acting": trust_views.acting(found) if found else None,
        "loss_curve": plots.loss_curve(data.history, "loss", data.gap_name) if len(data.history) > 1 else None,
        "has_gap": plots.has_gap(data.history),
        "path_curve": plots.path_curve(path, "path") if path is not None else None,
        "pictures": views.weight_pictures(data),
        "doubtful": views.row_pictures(data.doubtful),
        "surprising": [
            ("Most surprising", "most", data.most_surprising, views.row_pictures(data.most_surprising)),
            ("Least surprising", "least", data.least_surprising, views.row_pictures(data.least_surprising)),
        ],
    }


def write_report(path: str | os.PathLike[str], report: ReportData | str) -> None:
    """Write a report, or a page that `render_report` made, to `path`: whole, or not at all.

    Raises `FileNotFoundError` where the folder does not exist.

    >>> from softreg.report.audit import audit
    >>> found = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    >>> write_report("spam.html", ReportData("Ham or spam", found))
    """
    page = report if isinstance(report, str) else render_report(report)
    with atomic_path(path) as draft:
        draft.write_text(page, encoding="utf-8", newline="\n")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,  # names of classes and columns come from strangers' files
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        name=views.name,
        heading=views.heading,
        number=words.number,
        bits=words.bits,
        percent=words.percent,
        suspicion=views.suspicion,
    )
    return environment.from_string(_file("page.html.j2"))


def _file(name: str) -> str:
    return resources.files("softreg.report").joinpath(name).read_text(encoding="utf-8")
