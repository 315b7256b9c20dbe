from __future__ import annotations

from collections.abc import Iterator

import pytest

from softreg.rows.kernels import products as kernels

compiled = kernels._module


@pytest.fixture(params=["numpy", *(compiled.levels() if compiled else [])])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """NumPy, or the compiled kernels for one instruction set."""
    if request.param == "numpy":
        monkeypatch.setattr(kernels, "_module", None)
        yield "numpy"
    else:
        best = compiled.level()
        compiled.choose(request.param)
        monkeypatch.setitem(kernels.MAX_COMPILED_BYTES, request.param, 10_000)  # BLAS would hide what is tested here
        yield request.param
        compiled.choose(best)
