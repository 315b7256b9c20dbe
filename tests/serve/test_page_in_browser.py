"""The page of the service in Chromium: it computes what the service answers, and complains of nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..export.page_browser import CHROMIUM
from .service_process import ServiceProcess, save


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_the_page_computes_what_the_service_answers(small: Any, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = save(small[0], tmp_path, "bank")
    with ServiceProcess(path) as service, playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = chromium.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.goto(f"{service.address}/#age=31.5&loan=true&job%20%22x%22=cook")
        page.wait_for_selector("#bars li")
        shown = page.evaluate(
            "() => [...document.querySelectorAll('#bars li:not([hidden])')].map("
            "(row) => [Number(row.dataset.place), Number(row.dataset.probability)])"
        )
        chromium.close()
        row = {"age": 31.5, "loan": "yes", 'job "x"': "cook"}
        answer = service.client.post("/predict", json={"rows": [row]}).json()
        code, _ = service.stop()
    assert complaints == []
    assert code == 0
    expected = list(answer["predictions"][0]["probabilities"].values())
    np.testing.assert_allclose([p for _, p in sorted(shown)], expected, atol=1e-12)
