"""The page: one file that loads nothing and runs no script."""

from __future__ import annotations

import os
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from softreg.files import atomic_path
from softreg.report.evaluation.gains import gains
from softreg.report.evaluation.number_format import bins_within, number, percent
from softreg.report.evaluation.roc_curves import discriminations
from softreg.report.evaluation.threshold_metrics import thresholds
from softreg.report.figures import roc_plots
from softreg.report.figures.reliability_plots import (
    class_curves,
    has_gap,
    is_flat,
    loss_curve,
    path_curve,
    reliability_diagram,
)
from softreg.report.page import calibration_tables, column_tables, ranking_tables, result_tables
from softreg.report.page.calibration_assessment import verdict
from softreg.report.page.model_warnings import model_warnings
from softreg.report.page.report_data import WHY, ReportData
from softreg.report.page.summary_text import answers, assumptions, lead


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
        lead=lead(audit, "features" if data.trained else "probabilities"),
        warnings=[*model_warnings(audit, data.information), *data.warnings],
        answers=answers(data),
        results=result_tables.results(audit, data.results),
        **_calibration(data),
        **_ranking(data),
        **_columns(data),
        confusion=result_tables.confusion(audit),
        with_shares=len(audit.classes) <= result_tables.MOST_CLASSES_WITH_SHARES,
        pairs=result_tables.confused_pairs(audit),
        per_class=result_tables.per_class(audit),
        heaviest=result_tables.heaviest(data),
        open_classes=result_tables.OPEN_CLASSES,
        most_lines=result_tables.MOST_LINES,
        row_table=result_tables.row_table,
        why=WHY,
        **_training(data),
        **_pictures(data),
    )


def _calibration(data: ReportData) -> dict[str, Any]:
    """The verdict on calibration with its tables and figures."""
    audit = data.audit
    return {
        "verdict": verdict(audit),
        "calibration_card": calibration_tables.calibration_card(audit),
        "assumptions": assumptions(audit),
        "trust": calibration_tables.trust(audit),
        "calibration_test": calibration_tables.calibration_test(audit),
        "reliability": [
            (
                curve,
                reliability_diagram(curve, f"reliability{i}"),
                bins_within(curve),
                result_tables.bins(curve),
            )
            for i, curve in enumerate(audit.reliability)
        ],
        "class_curves": class_curves(audit.trust.curves, "classes") if len(audit.classes) > 2 else None,
    }


def _ranking(data: ReportData) -> dict[str, Any]:
    """ROC and precision-recall curves, thresholds, gains, and costs of decisions."""
    audit, point, found = data.audit, data.operating, gains(data.audit)
    areas_of = discriminations(audit)
    frequent = sorted(areas_of, key=lambda one: -one.positives)[: roc_plots.MOST_DRAWN]
    drawn = [one for one in areas_of if one in frequent]
    two = len(audit.classes) == 2
    cost = None if point is None or point.cost is None or point.cost.shape != (2, 2) else point.cost
    chosen = thresholds(audit, cost, None if point is None else point.threshold)
    return {
        "areas_of": areas_of,
        "areas": ranking_tables.areas(areas_of, len(audit.classes)) if areas_of else None,
        "ranking_pair": [roc_plots.ranking_curve(areas_of[0], kind, kind) for kind in roc_plots.KINDS]
        if two and areas_of
        else None,
        "ranking_many": [roc_plots.ranking_curves(drawn, kind, kind) for kind in roc_plots.KINDS]
        if drawn and not two
        else None,
        "drawn": len(drawn),
        "thresholds": ranking_tables.thresholds(chosen) if chosen else None,
        "gains": found,
        "gain_curve": roc_plots.gain_curve(found, "gain") if found else None,
        "gains_table": ranking_tables.gains(found) if found else None,
        "costs": calibration_tables.costs(point, audit.classes) if point else None,
    }


def _columns(data: ReportData) -> dict[str, Any]:
    """What the page says of columns."""
    return {
        "importance": column_tables.importance(data),
        "code_length": column_tables.code_length(data),
        "curves": column_tables.curves(data),
        "effects": column_tables.effects(data) if data.effects else None,
        "odds": column_tables.odds(data) if data.odds else None,
        "missing": column_tables.missing(data),
        "class_balance": column_tables.class_balance(data),
        "columns": result_tables.columns(data),
        "linearity_rows": data.linearity_rows,
    }


def _training(data: ReportData) -> dict[str, Any]:
    """The figures of the fit and of the choice of the strength."""
    path = data.path if data.path is not None and len(data.path.strength) > 1 else None
    return {
        "loss_curve": loss_curve(data.history, "loss", data.gap_name) if len(data.history) > 1 else None,
        "has_gap": has_gap(data.history),
        "flat_objective": is_flat(data.history),
        "path_curve": path_curve(path, "path") if path is not None else None,
    }


def _pictures(data: ReportData) -> dict[str, Any]:
    """Coefficients and rows that are images."""
    return {
        "pictures": result_tables.weight_pictures(data),
        "doubtful": result_tables.row_pictures(data.doubtful),
        "surprising": [
            ("Most surprising", "most", data.most_surprising, result_tables.row_pictures(data.most_surprising)),
            ("Least surprising", "least", data.least_surprising, result_tables.row_pictures(data.least_surprising)),
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
        name=result_tables.name,
        heading=result_tables.heading,
        number=number,
        surprisal=result_tables.surprisal,
        percent=percent,
        suspicion=result_tables.suspicion,
    )
    return environment.get_template("page.html.j2")


def _file(name: str) -> str:
    return resources.files("softreg.report.page").joinpath("templates", name).read_text(encoding="utf-8")
