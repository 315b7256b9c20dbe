"""The HTML page of a report: one file without scripts or external resources."""

from __future__ import annotations

import os
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from softreg.atomic_files import atomic_path
from softreg.report.evaluation.gains import gains
from softreg.report.evaluation.number_format import format_number, format_percent
from softreg.report.evaluation.reliability_text import reliability_sentence
from softreg.report.evaluation.roc_and_precision_recall import discriminations
from softreg.report.evaluation.threshold_metrics import threshold_metrics
from softreg.report.figures.gain_plots import gain_curve
from softreg.report.figures.group_plots import group_gaps
from softreg.report.figures.reliability_plots import class_reliability_diagrams, reliability_diagram
from softreg.report.figures.roc_and_precision_recall_plots import KINDS, MAX_DRAWN, class_roc_curves, roc_curve
from softreg.report.figures.training_plots import has_gap, is_flat, loss_curve, path_curve
from softreg.report.page import (
    calibration_tables,
    coefficient_tables,
    column_tables,
    ranking_tables,
    result_tables,
    row_tables,
)
from softreg.report.page.calibration_assessment import assess_calibration
from softreg.report.page.groups import group_tables, group_text
from softreg.report.page.model_warnings import model_warnings
from softreg.report.page.report_data import CONTRIBUTIONS, ReportData
from softreg.report.page.summary_text import answers, assumptions, lead
from softreg.report.page.table import MAX_LINES, display_name, heading
from softreg.report.page.terms.term_tables import drawn_terms

Context = dict[str, Any]
"""Variables of the templates."""


def render_report(data: ReportData) -> str:
    """Render a report as one HTML page, with its style and figures inside.

    The page is the same, byte for byte, for equal `data`. It follows the reader's choice of light or dark colours and
    adapts to narrow screens and to print. Names and cells are escaped; long names and tables are cut, with a note.

    Parameters
    ----------
    data : ReportData
        Content of the report.

    Returns
    -------
    str
        The page.

    Examples
    --------
    >>> from softreg.report import audit
    >>> evaluation = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "<b>"])
    >>> page = render_report(ReportData("Ham or spam", evaluation))
    >>> page[:15], "&lt;b&gt;" in page, "<b>" in page
    ('<!doctype html>', True, False)
    """
    audit = data.audit
    return page_template().render(
        data=data,
        audit=audit,
        style=page_style(),
        lead=lead(audit, "features" if data.trained else "probabilities"),
        warnings=[*model_warnings(audit, data.information), *data.warnings],
        answers=answers(data),
        scores=result_tables.score_rows(audit, data.results),
        confusion=result_tables.confusion_matrix(audit),
        with_shares=len(audit.classes) <= result_tables.MAX_CLASSES_WITH_SHARES,
        pairs=result_tables.confused_pairs(audit),
        per_class=result_tables.per_class(audit),
        max_lines=MAX_LINES,
        **_calibration(data),
        **_groups(data),
        **_ranking(data),
        **_columns(data),
        **_training(data),
        **_coefficients(data),
        **_rows(data),
    )


def _calibration(data: ReportData) -> Context:
    """Return the assessment of calibration with its tables and figures."""
    audit = data.audit
    return {
        "assessment": assess_calibration(audit),
        "calibration_card": calibration_tables.calibration_card(audit),
        "assumptions": assumptions(audit),
        "calibration_scores": calibration_tables.calibration_scores(audit),
        "calibration_test": calibration_tables.calibration_test(audit),
        "reliability": [
            (
                curve,
                reliability_diagram(curve, f"reliability{i}"),
                reliability_sentence(curve),
                result_tables.reliability_bins(curve),
            )
            for i, curve in enumerate(audit.reliability)
        ],
        "class_diagrams": class_reliability_diagrams(audit.calibration.curves, "classes")
        if len(audit.classes) > 2
        else None,
    }


def _groups(data: ReportData) -> Context:
    """Return the groups of named columns, their recalibration, and the groups that a search found."""
    groups, search = data.audit.group_audit, data.group_search
    context: Context = {"group_table": None, "group_search": None}
    if groups is not None:
        repair = groups.repair
        context |= {
            "group_sentence": group_text.groups_sentence(groups),
            "group_table": group_tables.group_table(groups),
            "group_figure": group_gaps(groups, "groups") if groups.tested else None,
            "group_repaired": repair is not None and repair.calibrator.method_ != "none",
            "group_repair": None if repair is None else group_text.repair_sentence(repair, data.audit.rows),
        }
    if search is not None:
        context |= {
            "group_search": group_tables.search_table(search),
            "group_search_sentence": group_text.search_sentence(search),
        }
    return context


def _ranking(data: ReportData) -> Context:
    """Return ROC and precision-recall curves, thresholds, gains, and costs of decisions."""
    audit, point, gain = data.audit, data.operating, gains(data.audit)
    curves = discriminations(audit)
    frequent = sorted(curves, key=lambda curve: -curve.positives)[:MAX_DRAWN]
    drawn = [curve for curve in curves if curve in frequent]
    binary = len(audit.classes) == 2
    cost = None if point is None or point.cost is None or point.cost.shape != (2, 2) else point.cost
    metrics = threshold_metrics(audit, cost, None if point is None else point.threshold)
    return {
        "roc_curves": curves,
        "areas": ranking_tables.areas(curves, len(audit.classes)) if curves else None,
        "roc_figures": [roc_curve(curves[0], kind, kind) for kind in KINDS] if binary and curves else None,
        "class_roc_figures": [class_roc_curves(drawn, kind, kind) for kind in KINDS] if drawn and not binary else None,
        "drawn": len(drawn),
        "thresholds": ranking_tables.thresholds(metrics) if metrics else None,
        "gains": gain,
        "gain_curve": gain_curve(gain, "gain") if gain else None,
        "gains_table": ranking_tables.gains_and_lift(gain) if gain else None,
        "costs": calibration_tables.decision_costs(point, audit.classes) if point else None,
    }


def _columns(data: ReportData) -> Context:
    """Return importance, curves, effects, odds ratios, missing values and kinds of columns."""
    return {
        "importance": column_tables.importance(data),
        "few_events": column_tables.few_events_sentence(data.audit) if data.added else "",
        "code_length": column_tables.code_length(data),
        "curves": column_tables.curves(data),
        "effects": column_tables.marginal_effects(data) if data.effects else None,
        "odds": column_tables.odds_ratios(data) if data.odds else None,
        "missing": column_tables.missing_values(data),
        "class_balance": column_tables.class_balance(data),
        "columns": result_tables.columns(data),
        "terms": drawn_terms(data.terms),
    }


def _training(data: ReportData) -> Context:
    """Return the figures of the fit and of the cross-validation of the strength."""
    path = data.path if data.path is not None and len(data.path.strength) > 1 else None
    return {
        "loss_curve": loss_curve(data.history, "loss", data.gap_name) if len(data.history) > 1 else None,
        "has_gap": has_gap(data.history),
        "flat_objective": is_flat(data.history),
        "path_curve": path_curve(path, "path") if path is not None else None,
    }


def _coefficients(data: ReportData) -> Context:
    """Return coefficients as bars or images."""
    return {
        "coefficients": coefficient_tables.largest_coefficients(data),
        "open_classes": coefficient_tables.OPEN_CLASSES,
        "coefficient_images": coefficient_tables.coefficient_images(data),
    }


def _rows(data: ReportData) -> Context:
    """Return rows of data as tables or images."""
    shown = (*data.doubtful, *data.most_surprising, *data.least_surprising)
    return {
        "has_pictures": any(row_tables.is_picture(row) for row in shown),
        "row_table": row_tables.row_table,
        "contributions": CONTRIBUTIONS,
        "suspicious_images": row_tables.row_images(data.doubtful),
        "surprising": [
            ("Most surprising", data.most_surprising, row_tables.row_images(data.most_surprising)),
            ("Least surprising", data.least_surprising, row_tables.row_images(data.least_surprising)),
        ],
    }


def write_report(path: str | os.PathLike[str], report: ReportData | str) -> None:
    """Write a report to a file, atomically.

    Parameters
    ----------
    path : str or path-like
        The file.
    report : ReportData or str
        Content of the report, or a page of `render_report`.

    Raises
    ------
    FileNotFoundError
        If the folder of `path` does not exist.

    Examples
    --------
    >>> from softreg.report import audit
    >>> evaluation = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    >>> write_report("spam.html", ReportData("Ham or spam", evaluation))
    """
    page = report if isinstance(report, str) else render_report(report)
    with atomic_path(path) as draft:
        draft.write_text(page, encoding="utf-8", newline="\n")


def page_template(name: str = "page.html.j2") -> jinja2.Template:
    """Return the template of a page.

    Parameters
    ----------
    name : str
        File name of the template.

    Returns
    -------
    jinja2.Template
        The template.
    """
    environment = jinja2.Environment(
        autoescape=True,  # names of classes and columns come from data files
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=jinja2.FunctionLoader(_file),
    )
    environment.filters.update(
        name=display_name,
        heading=heading,
        number=format_number,
        surprisal=row_tables.row_surprisal,
        percent=format_percent,
        suspicion=row_tables.format_suspicion,
    )
    return environment.get_template(name)


def page_style() -> Markup:
    """Return the style sheet of a page."""
    return Markup(_file("page.css"))


def _file(name: str) -> str:
    """Return the text of a template or style sheet."""
    return resources.files("softreg.report.page").joinpath("templates", name).read_text(encoding="utf-8")
