"""The page: one file that loads nothing and runs no script."""

from __future__ import annotations

import os
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from softreg.files import atomic_path
from softreg.report.evaluation import wording as words
from softreg.report.evaluation.discrimination import discriminations
from softreg.report.evaluation.gains import gains
from softreg.report.evaluation.thresholds import thresholds
from softreg.report.figures import curves as plots
from softreg.report.figures import ranking_plots
from softreg.report.page import calibration_verdict as verdict
from softreg.report.page import calibration_views as trust_views
from softreg.report.page import column_views, ranking_views, views
from softreg.report.page import summary as answers
from softreg.report.page.model_warnings import model_warnings
from softreg.report.page.report_data import WHY, ReportData


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
        warnings=[*model_warnings(audit, data.information), *data.warnings],
        answers=answers.answers(data),
        results=views.results(audit, data.results),
        **_calibration(data),
        **_ranking(data),
        **_columns(data),
        confusion=views.confusion(audit),
        with_shares=len(audit.classes) <= views.MOST_CLASSES_WITH_SHARES,
        pairs=views.confused_pairs(audit),
        per_class=views.per_class(audit),
        heaviest=views.heaviest(data),
        open_classes=views.OPEN_CLASSES,
        most_lines=views.MOST_LINES,
        row_table=views.row_table,
        why=WHY,
        **_training(data),
        **_pictures(data),
    )


def _calibration(data: ReportData) -> dict[str, Any]:
    """The verdict on calibration with its tables and figures."""
    audit = data.audit
    return {
        "verdict": verdict.verdict(audit),
        "calibration_card": trust_views.calibration_card(audit),
        "assumptions": answers.assumptions(audit),
        "trust": trust_views.trust(audit),
        "calibration_test": trust_views.calibration_test(audit),
        "reliability": [
            (curve, plots.reliability_diagram(curve, f"reliability{i}"), words.bins_within(curve), views.bins(curve))
            for i, curve in enumerate(audit.reliability)
        ],
        "class_curves": plots.class_curves(audit.trust.curves, "classes") if len(audit.classes) > 2 else None,
    }


def _ranking(data: ReportData) -> dict[str, Any]:
    """ROC and precision-recall curves, thresholds, gains, and costs of decisions."""
    audit, point, found = data.audit, data.operating, gains(data.audit)
    areas_of = discriminations(audit)
    frequent = sorted(areas_of, key=lambda one: -one.positives)[: ranking_plots.MOST_DRAWN]
    drawn = [one for one in areas_of if one in frequent]
    two = len(audit.classes) == 2
    cost = None if point is None or point.cost is None or point.cost.shape != (2, 2) else point.cost
    chosen = thresholds(audit, cost, None if point is None else point.threshold)
    return {
        "areas_of": areas_of,
        "areas": ranking_views.areas(areas_of, len(audit.classes)) if areas_of else None,
        "ranking_pair": [ranking_plots.ranking_curve(areas_of[0], kind, kind) for kind in ranking_plots.KINDS]
        if two and areas_of
        else None,
        "ranking_many": [ranking_plots.ranking_curves(drawn, kind, kind) for kind in ranking_plots.KINDS]
        if drawn and not two
        else None,
        "drawn": len(drawn),
        "thresholds": ranking_views.thresholds(chosen) if chosen else None,
        "gains": found,
        "gain_curve": ranking_plots.gain_curve(found, "gain") if found else None,
        "gains_table": ranking_views.gains(found) if found else None,
        "costs": trust_views.costs(point, audit.classes) if point else None,
    }


def _columns(data: ReportData) -> dict[str, Any]:
    """What the page says of columns."""
    return {
        "importance": column_views.importance(data),
        "code_length": column_views.code_length(data),
        "curves": column_views.curves(data),
        "effects": column_views.effects(data) if data.effects else None,
        "odds": column_views.odds(data) if data.odds else None,
        "missing": column_views.missing(data),
        "class_balance": column_views.class_balance(data),
        "columns": views.columns(data),
        "linearity_rows": data.linearity_rows,
    }


def _training(data: ReportData) -> dict[str, Any]:
    """The figures of the fit and of the choice of the strength."""
    path = data.path if data.path is not None and len(data.path.strength) > 1 else None
    return {
        "loss_curve": plots.loss_curve(data.history, "loss", data.gap_name) if len(data.history) > 1 else None,
        "has_gap": plots.has_gap(data.history),
        "flat_objective": plots.is_flat(data.history),
        "path_curve": plots.path_curve(path, "path") if path is not None else None,
    }


def _pictures(data: ReportData) -> dict[str, Any]:
    """Coefficients and rows that are images."""
    return {
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

    >>> from softreg.report.evaluation.audit import audit
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
        loader=jinja2.FunctionLoader(_file),
    )
    environment.filters.update(
        name=views.name,
        heading=views.heading,
        number=words.number,
        surprisal=views.surprisal,
        percent=words.percent,
        suspicion=views.suspicion,
    )
    return environment.get_template("page.html.j2")


def _file(name: str) -> str:
    return resources.files("softreg.report.page").joinpath("templates", name).read_text(encoding="utf-8")
