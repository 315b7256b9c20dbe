"""A plugin of pytest that runs scikit-learn's tests with our `LogisticRegression` in place of theirs.

Loaded with `-p use_drop_in`, before the test module imports the name. It keeps the tests that use the name and writes
the outcome of each to the file that the environment variable DROP_IN_OUTCOMES names.
"""

from __future__ import annotations

import json
import os
import types
from pathlib import Path
from typing import Any

import sklearn.linear_model
from sklearn.base import ClassifierMixin

from softreg.sklearn import LogisticRegression

sklearn.linear_model.LogisticRegression = LogisticRegression

OUTCOMES: dict[str, str] = {}


def names_in(code: types.CodeType) -> set[str]:
    """Global names that a function uses, those of the functions inside it included."""
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(names_in, inner))


def uses_the_name(item: Any) -> bool:
    """Whether a test uses LogisticRegression itself, by name, as a parameter, or through a helper of the module."""
    parameters = getattr(item, "callspec", None)
    values = {} if parameters is None else parameters.params
    if any(value is LogisticRegression for value in values.values()):
        return True
    if any(isinstance(value, type) and issubclass(value, ClassifierMixin) for value in values.values()):
        return False  # the same test for LogisticRegressionCV
    return bool({"LogisticRegression", "check_predictions"} & names_in(item.function.__code__)) and not (
        "problem" in values and values["problem"] == "cv"
    )


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    kept = [item for item in items if uses_the_name(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def pytest_runtest_logreport(report: Any) -> None:
    name = report.nodeid.rpartition("::")[2]
    if report.when == "call" or report.outcome != "passed":
        OUTCOMES[name] = report.outcome


def pytest_sessionfinish() -> None:
    Path(os.environ["DROP_IN_OUTCOMES"]).write_text(json.dumps(OUTCOMES, indent=1), encoding="utf-8")
