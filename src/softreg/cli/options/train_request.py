"""The options of `softreg train` as one record, and checks of their combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from softreg.cli.console.command_errors import CommandError
from softreg.cli.options.bounds import Bound, bounds_by_column
from softreg.cli.options.column_arguments import resolve_column
from softreg.cli.options.offsets import offset_by_class
from softreg.cli.options.terms.requested_terms import terms_of_columns
from softreg.cli.options.terms.term_arguments import NAMES, NO_ARGUMENTS, TermArguments
from softreg.cli.options.train_options import TEST_SIZE
from softreg.models.selection.scorers import find_scorer
from softreg.rows.checkpoint import FILE_NAME
from softreg.tables import ReadOptions
from softreg.tables.fit.memory_mode import Memory
from softreg.tables.fit.terms.term_options import LINEAR_TERMS, Terms
from softreg.tables.row_selection.rare_classes import LabelRules
from softreg.tables.row_selection.time_codes import TIME_AND_GROUPS
from softreg.tables.schema.feature_columns import split_column_names

PRIOR_EXCLUDES = {
    ("--strength", "--penalty", "--l1-ratio", "--unpenalised"): "the prior takes the place of the penalty",
    ("--folds", "--rule", "--scoring"): "with a prior there is no strength to choose",
    ("--features", "--drop", "--text", "--category", "--number", "--date", "--as", "--offset"): (
        "the columns and their encoding are those of the prior"
    ),
    NAMES: "the terms are those of the prior",
    ("--rare",): "the classes are those of the prior",
    ("--class-weight",): "the prior counts each row once",
    ("--checkpoint", "--resume"): "a fit with a prior takes few steps and has no checkpoint",
}
"""Options that a prior excludes, and why."""
OFFSET_REPORT = "--report explains predictions by columns, and has no explanation of an offset; omit --report."


@dataclass(frozen=True)
class TrainRequest:
    """Options of `softreg train`; the fields have the names of the options."""

    data: Path
    target: str
    """Column of labels; empty until `with_default_target` where the command line names none."""
    model: Path | None
    report: Path | None
    strength: float | None
    """None selects it by cross-validation."""
    folds: int | None
    rule: str | None
    scoring: str | None
    penalty: str
    l1_ratio: float | None
    class_weight: tuple[str, ...]
    costs: tuple[str, ...]
    groups: str | None
    """Column of groups of dependent rows."""
    time: str | None
    """Column by which the latest rows are held out."""
    weights: str | None
    """Column of row weights."""
    offset: Mapping[str, str]
    """Column of offsets of the logits, by class."""
    missing_target: str
    rare: str
    test_size: float | None
    test: Path | None
    """File with the rows to evaluate on."""
    seed: int
    features: tuple[str, ...]
    drop: tuple[str, ...]
    column_kinds: Mapping[str, Sequence[str]]
    """Columns of a given kind: text, category, number or date."""
    forms: Mapping[str, str]
    """Form of numeric columns: linear, scores or both."""
    reading: ReadOptions
    as_json: bool
    quiet: bool
    memory: Memory
    checkpoint: Path | None
    resume: bool
    cluster: str | None = None
    """Worker processes: local, local:N or the address of a Dask scheduler."""
    intervals: bool = False
    """Whether the model keeps the covariance of its weights."""
    unpenalised: tuple[str, ...] = ()
    bounds: Sequence[Bound] = ()
    bounds_reference: str | None = None
    prior: Path | None = None
    """Model file whose posterior is the prior."""
    keep_posterior: bool = False
    terms: TermArguments = NO_ARGUMENTS
    profile: bool = False
    """Whether to print what the fit costs."""
    given: frozenset[str] = frozenset()
    """Options that the command line names."""
    bounds_by_column: Mapping[str, Any] = field(default_factory=dict)
    """Bounds by column, or by column and class; set by `with_columns`."""
    requested_terms: Terms = LINEAR_TERMS
    """The terms with the names of columns; set by `with_columns`."""

    @property
    def has_weight_terms(self) -> bool:
        """Whether columns have no penalty or a bound, or the weights a prior: no fit leaves a column out then."""
        return bool(self.unpenalised or self.bounds or self.prior)

    @property
    def rules(self) -> LabelRules:
        """Rules for rows without a label and classes of a single row."""
        return LabelRules(self.missing_target, self.rare)

    @property
    def target_is_category(self) -> bool:
        """Whether --category names the target, so that its labels are classes, whatever their number."""
        return self.target in self.column_kinds["category"]

    @property
    def share(self) -> float:
        """Share of held-out rows."""
        return 0.0 if self.test is not None else TEST_SIZE if self.test_size is None else self.test_size

    def with_columns(self, names: Sequence[str]) -> TrainRequest:
        """Return the request with the names of columns of the table, and lists with commas split."""
        column_kinds = {kind: split_column_names(given, names) for kind, given in self.column_kinds.items()}
        target = resolve_column(self.target, names)
        return replace(
            self,
            target=target,
            features=split_column_names(self.features, names),
            drop=split_column_names(self.drop, names),
            column_kinds=column_kinds,
            unpenalised=split_column_names(self.unpenalised, names),
            bounds_by_column=bounds_by_column(self.bounds, names),
            offset=offset_by_class(self.offset, names),
            requested_terms=terms_of_columns(self.terms, names),
        )


def check_request(request: TrainRequest) -> None:
    """Check the combination of options.

    Parameters
    ----------
    request : TrainRequest
        The options.

    Raises
    ------
    CommandError
        If options exclude each other, or a checkpoint cannot be used.
    """
    _check_checkpoint(request)
    _check_selection(request)
    _check_intervals(request)
    _check_prior(request)
    _check_cluster(request)
    _check_posterior(request)
    _check_terms(request)
    if request.test is not None and request.test_size is not None:
        raise CommandError("--test names the rows to evaluate on, and --test-size holds rows out; use one of them.")
    if request.time is not None and request.groups is not None:
        raise CommandError(f"--time and --groups exclude each other. {TIME_AND_GROUPS}")
    if request.weights is not None and request.weights in (request.target, request.groups, request.time):
        raise CommandError(f"{request.weights!r} is the column of weights and has another role as well.")
    if request.report is not None and request.offset:
        raise CommandError(OFFSET_REPORT)


def _check_terms(request: TrainRequest) -> None:
    """Raise `CommandError` if a search of terms is requested and the options exclude one."""
    given = request.terms
    if given.terms != "auto" and not (given.linear or given.terms_seconds):
        return
    if request.strength is not None or request.penalty != "l2":
        fixed = "--strength" if request.strength is not None else f"--penalty {request.penalty}"
        raise CommandError(
            f"The search of --terms auto chooses a strength of the l2 penalty for each term, and {fixed} is given; "
            "leave one of them out."
        )


def _check_checkpoint(request: TrainRequest) -> None:
    """Raise `CommandError` if the checkpoint cannot be used, or does not exist and is to be resumed."""
    if request.checkpoint is None:
        if request.resume:
            raise CommandError("--resume requires the folder of the interrupted fit: --checkpoint DIR.")
        return
    if request.strength == 0 or request.penalty == "none":
        raise CommandError("--checkpoint requires a strength above 0: only a fit with a penalty can be resumed.")
    if request.checkpoint.exists() and not request.checkpoint.is_dir():
        raise CommandError(f"--checkpoint {str(request.checkpoint)!r} is a file; name a folder.")
    if request.resume and not (request.checkpoint / FILE_NAME).exists():
        raise CommandError(
            f"There is no fit to resume in {str(request.checkpoint)!r}: none was started there, it has finished, or it "
            "was interrupted while terms were chosen, which starts again. Omit --resume to start one."
        )


def _check_intervals(request: TrainRequest) -> None:
    """Raise `CommandError` for intervals of a model that has none, or that is not saved."""
    if not request.intervals:
        return
    if request.model is None:
        raise CommandError("--intervals keeps a covariance in the model file; name one: --model M.softreg.")
    if request.penalty not in ("l2", "none"):
        raise CommandError(
            f"--intervals: --penalty {request.penalty} selects columns, and standard errors that ignore the selection "
            "are too small. Use --penalty l2 or none."
        )
    limits: tuple[tuple[str, Any, str], ...] = (
        ("--monotone", request.terms.monotone, "request the curve with --smooth"),
        ("--bound", request.bounds, "compute intervals from bootstrap samples of the rows in Python"),
    )
    for option, given, instead in limits:
        if given:
            raise CommandError(
                f"--intervals cannot be combined with {option}: an estimate at its bound has no normal distribution. "
                f"Leave one of them out, or {instead}."
            )
    for option, given in (("--weights", request.weights), ("--class-weight", request.class_weight)):
        if given:
            raise CommandError(
                f"--intervals cannot be combined with {option}: what the weights count is not known. In Python, "
                "infer(model, X, y, sample_weight, weights=...) states it."
            )


def _check_prior(request: TrainRequest) -> None:
    """Raise `CommandError` for options that a prior determines or excludes."""
    if request.prior is None:
        return
    for options, reason in PRIOR_EXCLUDES.items():
        for option in options:
            if option in request.given:
                raise CommandError(f"{option} and --prior exclude each other: {reason}.")
    if request.reading.bad_rows == "skip":
        raise CommandError("--bad-rows skip and --prior exclude each other; correct the rows, or leave them out.")


def _check_cluster(request: TrainRequest) -> None:
    """Raise `CommandError` for options that need all rows in this process."""
    if request.cluster is None:
        return
    for option, given in (("--memory high", request.memory == "high"), ("--prior", request.prior is not None)):
        if given:
            raise CommandError(
                f"{option} needs the rows in this process, and with --cluster worker processes read them; use one of "
                "them."
            )


def _check_posterior(request: TrainRequest) -> None:
    """Raise `CommandError` for the posterior of a fit that has none, or of a model that is not saved."""
    if not request.keep_posterior:
        return
    if request.model is None:
        raise CommandError("--keep-posterior keeps the posterior in the model file; name one: --model M.softreg.")
    if request.penalty not in ("l2", "none") or request.bounds:
        raise CommandError(
            "--keep-posterior requires --penalty l2 or none, without --bound: the posterior of other fits is not "
            "approximately Gaussian."
        )


def _check_selection(request: TrainRequest) -> None:
    """Raise `CommandError` for options of the selection of the strength where it is given, or where there is none."""
    for name, given in (("--folds", request.folds), ("--rule", request.rule), ("--scoring", request.scoring)):
        if given is not None and request.strength is not None:
            raise CommandError(
                f"{name} concerns the selection of the strength, which --strength {request.strength:g} fixes; "
                f"use one of them."
            )
        if given is not None and request.penalty == "none":
            raise CommandError(
                f"{name} concerns the selection of the strength, and --penalty none has none; use one of them."
            )
    if request.penalty == "none" and request.strength:
        raise CommandError(f"--penalty none has no strength, but --strength is {request.strength:g}; use one of them.")
    if request.l1_ratio is not None and request.penalty != "elasticnet":
        raise CommandError(
            "--l1-ratio is the share of L1 in --penalty elasticnet and has no meaning for another penalty."
        )
    if request.scoring is not None:
        find_scorer(request.scoring)


def check_batches(request: TrainRequest) -> None:
    """Raise `CommandError` for options that need all rows in memory."""
    in_memory_only = {
        "--report": request.report is not None,
        "--bad-rows skip": request.reading.bad_rows == "skip",
        "--groups": request.groups is not None,
        "--time": request.time is not None,
        "--intervals": request.intervals,
    }
    instead = " in place of --cluster" if request.cluster is not None else ""
    for option, given in in_memory_only.items():
        if given:
            raise CommandError(
                f"{option} requires all rows in memory, and {str(request.data)!r} is read in batches. Omit it, or read "
                f"the table as a whole, if it fits in memory: --memory high{instead}."
            )
