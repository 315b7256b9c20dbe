"""What was asked for with `softreg train`, and what of it cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from softreg.cli.console.command_errors import CommandError
from softreg.cli.options.column_arguments import resolve_column
from softreg.cli.options.train_options import TEST_SIZE
from softreg.models.selection.scorers import find_scorer
from softreg.rows.checkpoint import NAME
from softreg.tables import ReadOptions
from softreg.tables.row_selection.labelled_rows import LabelRules
from softreg.tables.row_selection.time_splits import TIME_AND_GROUPS
from softreg.tables.schema.feature_columns import split_names


@dataclass(frozen=True)
class TrainRequest:
    """What was asked for on the command line; its fields are named as the options are."""

    data: Path
    target: str
    model: Path | None
    report: Path | None
    strength: float | None
    """None leaves the choice to cross-validation."""
    folds: int | None
    rule: str | None
    scoring: str | None
    penalty: str
    l1_ratio: float | None
    class_weight: tuple[str, ...]
    costs: tuple[str, ...]
    groups: str | None
    """The column whose equal values keep rows together."""
    time: str | None
    """The column by which the latest rows are held out."""
    weights: str | None
    """The column that says how often each row counts."""
    missing_target: str
    rare: str
    test_size: float | None
    test: Path | None
    """The file with the rows to evaluate on."""
    seed: int
    features: tuple[str, ...]
    drop: tuple[str, ...]
    asked: Mapping[str, Any]
    """Columns that are to be taken for a text, category, number or date."""
    forms: Mapping[str, str]
    """The form of columns of numbers: linear, scores or both."""
    reading: ReadOptions
    as_json: bool
    quiet: bool
    memory: Any
    checkpoint: Path | None
    resume: bool

    @property
    def rules(self) -> LabelRules:
        """What is done with rows without a label and classes of a single row."""
        return LabelRules(self.missing_target, self.rare)

    @property
    def sure(self) -> bool:
        """Whether the labels were said to be classes, however many they are."""
        return self.target in self.asked["category"]

    @property
    def share(self) -> float:
        """The share of the rows that is held out."""
        return 0.0 if self.test is not None else TEST_SIZE if self.test_size is None else self.test_size

    def with_columns(self, names: Sequence[str]) -> TrainRequest:
        """The same order by the names of the table: lists with commas taken apart, the target without blanks."""
        asked = {kind: split_names(given, names) for kind, given in self.asked.items()}
        target = resolve_column(self.target, names)
        return replace(
            self,
            target=target,
            features=split_names(self.features, names),
            drop=split_names(self.drop, names),
            asked=asked,
        )


def check_request(order: TrainRequest) -> None:
    """Refuse a checkpoint that cannot be, or that is to be resumed and does not exist, and options that exclude others.

    Raises `CommandError`, or the `ValueError` of an unknown score.
    """
    check_checkpoint(order)
    check_choice(order)
    if order.test is not None and order.test_size is not None:
        raise CommandError(
            "--test names the rows to evaluate on, and --test-size holds rows out. Leave one of them out."
        )
    if order.time is not None and order.groups is not None:
        raise CommandError(f"--time and --groups exclude each other. {TIME_AND_GROUPS}")
    if order.weights is not None and order.weights in (order.target, order.groups, order.time):
        raise CommandError(f"{order.weights!r} is named as the column of weights and for something else as well.")


def check_checkpoint(order: TrainRequest) -> None:
    """Refuse a checkpoint that cannot be, or that is to be resumed and does not exist."""
    if order.checkpoint is None:
        if order.resume:
            raise CommandError("--resume continues the fit in the folder of --checkpoint; name it: --checkpoint DIR.")
        return
    if order.strength == 0 or order.penalty == "none":
        raise CommandError("--checkpoint needs a strength above 0: only with a penalty can a fit be resumed.")
    if order.checkpoint.exists() and not order.checkpoint.is_dir():
        raise CommandError(f"--checkpoint {str(order.checkpoint)!r} is a file; name a folder.")
    if order.resume and not (order.checkpoint / NAME).exists():
        raise CommandError(
            f"There is no fit to resume in {str(order.checkpoint)!r}: none was started there, or it has ended. Leave "
            "--resume out to start one."
        )


def check_choice(order: TrainRequest) -> None:
    """Refuse words about a choice of the strength where it is given, or where there is none."""
    for name, given in (("--folds", order.folds), ("--rule", order.rule), ("--scoring", order.scoring)):
        if given is not None and order.strength is not None:
            raise CommandError(
                f"{name} says how the strength is chosen, and it is given as {order.strength:g}. Leave one of them out."
            )
        if given is not None and order.penalty == "none":
            raise CommandError(f"{name} says how the strength is chosen, and --penalty none has none. Leave one out.")
    if order.penalty == "none" and order.strength:
        raise CommandError(
            f"--penalty none has no strength, and it is given as {order.strength:g}. Leave one of them out."
        )
    if order.l1_ratio is not None and order.penalty != "elasticnet":
        raise CommandError("--l1-ratio is the share of l1 in --penalty elasticnet; with another penalty leave it out.")
    if order.scoring is not None:
        find_scorer(order.scoring)
