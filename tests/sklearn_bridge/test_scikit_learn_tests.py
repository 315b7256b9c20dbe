"""scikit-learn's own tests of `LogisticRegression`, run with ours in its place.

    pytest tests/sklearn_bridge/test_scikit_learn_tests.py -m slow -s

prints how many pass. The tests are those of the installed package; `use_drop_in` replaces the class in them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn

HERE = Path(__file__).parent
VERSION = "1.9"
MODULE = "sklearn.linear_model.tests.test_logistic"

UNCONVERGED = "compares, to six digits, with weights of scikit-learn that are 1.6e-5 or 5e-4 away from its own optimum"
OTHER_STEPS = "compares the weights after one and two steps of scikit-learn's solver; ours takes other steps"
NAMES_A_SOLVER = "expects a ConvergenceWarning that names the solver of scikit-learn, which does not run here"
TAKES_MORE = "expects an error for rows that this solver of scikit-learn does not take, and ours does"
CALLBACKS = (
    "callbacks see the weights of each iteration of scikit-learn's L-BFGS; they are not supported, with a warning"
)

DIFFERENT = {
    "test_liblinear_dual_random_state": "expects different weights for different seeds; there is one optimum",
    "test_logistic_cv[": UNCONVERGED,
    "test_logistic_cv_multinomial_score[neg_log_loss": UNCONVERGED,
    "test_max_iter[42-newton-cg-": NAMES_A_SOLVER,
    "test_max_iter[42-liblinear-": NAMES_A_SOLVER,
    "test_max_iter[42-lbfgs-": NAMES_A_SOLVER,
    "test_max_iter[42-newton-cholesky-": NAMES_A_SOLVER,
    "test_warm_start_newton_solver[1-True-": OTHER_STEPS,
    "test_warm_start_newton_solver[inf-True-": OTHER_STEPS,
    "test_large_sparse_matrix[csr_matrix-liblinear]": TAKES_MORE,
    "test_large_sparse_matrix[csr_matrix-sag]": TAKES_MORE,
    "test_large_sparse_matrix[csr_matrix-saga]": TAKES_MORE,
    "test_large_sparse_matrix[csr_array-liblinear]": TAKES_MORE,
    "test_large_sparse_matrix[csr_array-sag]": TAKES_MORE,
    "test_large_sparse_matrix[csr_array-saga]": TAKES_MORE,
    "test_liblinear_with_large_values": TAKES_MORE,
    "test_newton_cholesky_fallback_to_lbfgs": "compares numbers of iterations of scikit-learn's L-BFGS",
    "test_logistic_regression_callback_support[": CALLBACKS,
}
"""Tests that fail, by the beginning of their names, and why they may: each of them must fail, and no other."""
NOT_COUNTED = {"test_logistic_regression_callback_fitted_estimator": CALLBACKS}
"""Tests that pass because they loop over nothing."""
LEAST_TESTS = 240
"""Tests of scikit-learn 1.9 that use the class, without those for array libraries that are not installed."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if not sklearn.__version__.startswith(VERSION + "."):
        pytest.skip(f"the table is of scikit-learn {VERSION}")
    folder = tmp_path_factory.mktemp("outcomes")
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "DROP_IN_OUTCOMES": str(folder / "outcomes.json"),
        "SKLEARN_TESTS_GLOBAL_RANDOM_SEED": "42",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "use_drop_in", "-p", "no:cacheprovider", "--pyargs", MODULE]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    written = folder / "outcomes.json"
    assert written.exists(), done.stdout + done.stderr
    return {
        name: outcome
        for name, outcome in json.loads(written.read_text(encoding="utf-8")).items()
        if outcome != "skipped" and not name.startswith(tuple(NOT_COUNTED))
    }


@pytest.mark.slow
def test_scikit_learn_s_tests_pass_except_those_of_the_table(outcomes: dict[str, str]) -> None:
    failed = {name for name, outcome in outcomes.items() if outcome == "failed"}
    print(f"\n{len(outcomes) - len(failed)} of {len(outcomes)} tests of {MODULE} {sklearn.__version__} pass")
    assert len(outcomes) >= LEAST_TESTS
    unexpected = {name for name in failed if not name.startswith(tuple(DIFFERENT))}
    assert not unexpected, "\n".join(sorted(unexpected))


@pytest.mark.slow
@pytest.mark.parametrize("beginning", DIFFERENT)
def test_each_test_of_the_table_fails(outcomes: dict[str, str], beginning: str) -> None:
    found = {name: outcome for name, outcome in outcomes.items() if name.startswith(beginning)}
    assert found
    assert set(found.values()) == {"failed"}, f"passes now: {found}"
