"""The programs of every target compute the probabilities of `predict_proba`, in their real engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from softreg.export import ExportError

from .c_runner import CRunner
from .cases import CASES, case
from .javascript_runner import JavaScriptRunner
from .onnx_runner import OnnxRunner
from .runner import Runner
from .sql_runner import SQL_RUNNERS

RUNNERS: tuple[Runner, ...] = (JavaScriptRunner(), CRunner(), OnnxRunner(), *SQL_RUNNERS)
TOLERANCE = 1e-12


@pytest.mark.parametrize("runner", RUNNERS, ids=lambda runner: runner.name)
@pytest.mark.parametrize("name", CASES)
def test_the_program_computes_the_probabilities_of_the_library(name: str, runner: Runner, tmp_path: Path) -> None:
    given = case(name)
    refused = [read for read in given.program.inputs if read.kind in runner.refused and not read.elements]
    if refused:
        with pytest.raises(ExportError) as raised:
            runner.probabilities(given.program, given.columns, tmp_path)
        assert repr(refused[0].name)[1:-1] in str(raised.value)
        return
    if (reason := runner.missing_engine()) is not None:
        pytest.skip(reason)
    computed, expected = runner.probabilities(given.program, given.columns, tmp_path), given.expected()
    assert computed.shape == expected.shape
    np.testing.assert_allclose(computed, expected, rtol=0, atol=TOLERANCE)
    large = expected > 1e-290  # subnormal numbers have fewer digits
    np.testing.assert_allclose(computed[large], expected[large], rtol=1e-9)
