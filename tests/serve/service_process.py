"""`softreg serve` as a process, and a client over a real connection."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 60.0
ADDRESS = re.compile(r"on (http://\S+:(\d+)) ")


class ServiceProcess:
    """A running service; `stop` ends it by a signal and returns its exit code and its whole stderr."""

    def __init__(self, *arguments: object, environment: dict[str, str] | None = None, own_group: bool = False) -> None:
        command = [sys.executable, "-m", "softreg", "serve", *map(str, arguments), "--port", "0"]
        plain = {name: value for name, value in os.environ.items() if name != "SOFTREG_TOKEN"}
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env={**plain, **(environment or {})},
            start_new_session=own_group,
        )
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        found = self.wait_for(ADDRESS, START_SECONDS)
        self.address, self.port = found[1], int(found[2])
        self.client = httpx.Client(base_url=self.address, timeout=30)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def wait_for(self, pattern: str | re.Pattern[str], seconds: float = 20) -> re.Match[str]:
        """Return the first match of a pattern in stderr."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, "".join(self.lines))
            if found:
                return found
            if self.process.poll() is not None and not self.reader.is_alive():
                break
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in {self.lines}")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self.reader.join(seconds)
        self.client.close()
        return code, "".join(self.lines)

    def __enter__(self) -> ServiceProcess:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.client.close()


def save(model: Any, folder: Path, name: str) -> Path:
    """Save a model, and return its file."""
    path = folder / f"{name}.softreg"
    model.save(path)
    return path
