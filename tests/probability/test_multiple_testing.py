"""Adjusted p-values against SciPy's, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from softreg.probability.multiple_testing import false_discovery_rates


@pytest.mark.parametrize("dependent", [False, True])
def test_the_adjusted_p_values_are_those_of_scipy(dependent: bool) -> None:
    random = np.random.default_rng(0)
    for m in (1, 2, 7, 100):
        p = random.random(m) ** 3
        expected = false_discovery_control(p, method="by" if dependent else "bh")
        assert false_discovery_rates(p, dependent=dependent) == pytest.approx(expected, rel=1e-12)


def test_tests_that_were_not_made_do_not_count() -> None:
    adjusted = false_discovery_rates([0.01, np.nan, 0.04])
    assert np.isnan(adjusted[1])
    assert adjusted[[0, 2]].tolist() == false_discovery_rates([0.01, 0.04]).tolist()
    assert false_discovery_rates([]).shape == (0,)
    assert np.isnan(false_discovery_rates([np.nan])).all()


def test_ties_have_equal_adjusted_p_values() -> None:
    assert false_discovery_rates([0.02, 0.02, 1.0]).tolist() == pytest.approx([0.03, 0.03, 1.0])


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_number_that_is_no_p_value_is_an_error(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        false_discovery_rates([0.5, p])
