"""Counters and a histogram of one process, in the text format of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper limits of the buckets of the latency, in seconds."""
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters by model, endpoint and status, and a histogram of the latency by model.

    Parameters
    ----------
    labels : mapping of str to str
        Labels of every sample, such as the process among several.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.count("bank", 200, rows=3, seconds=0.0007)
    >>> print(next(line for line in metrics.text().splitlines() if line.startswith("softreg_rows")))
    softreg_rows_total{model="bank"} 3
    """

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        self.labels = dict(labels or {})
        self.requests: Counter[tuple[str, int]] = Counter()
        self.rows: Counter[str] = Counter()
        self.buckets: dict[str, list[int]] = {}
        self.seconds: Counter[str] = Counter()

    def count(self, model: str, status: int, *, rows: int = 0, seconds: float = 0.0) -> None:
        """Count one request.

        Parameters
        ----------
        model : str
            Name of the model; empty for requests of no model.
        status : int
            Status of the response.
        rows : int
            Rows predicted.
        seconds : float
            Time from the head of the request to the response.
        """
        self.requests[model, status] += 1
        if not model:
            return
        buckets = self.buckets.get(model)
        if buckets is None:
            buckets = self.buckets[model] = [0] * (len(BUCKETS) + 1)
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds[model] += seconds  # type: ignore[assignment]
        self.rows[model] += rows

    def text(self, gauges: Iterable[Gauge] = ()) -> str:
        """Return all samples in Prometheus' text format."""
        lines = _head("softreg_requests_total", "counter", "Requests by model and status.")
        for (model, status), count in sorted(self.requests.items()):
            lines.append(self._sample("softreg_requests_total", {"model": model, "status": str(status)}, count))
        lines += _head("softreg_rows_total", "counter", "Rows predicted, by model.")
        lines += [self._sample("softreg_rows_total", {"model": model}, n) for model, n in sorted(self.rows.items())]
        name = "softreg_request_seconds"
        lines += _head(name, "histogram", "Time from the head of a request to its response, by model.")
        for model, buckets in sorted(self.buckets.items()):
            total = 0
            for limit, count in zip((*BUCKETS, "+Inf"), buckets, strict=True):
                total += count
                lines.append(self._sample(f"{name}_bucket", {"model": model, "le": str(limit)}, total))
            lines.append(self._sample(f"{name}_sum", {"model": model}, self.seconds[model]))
            lines.append(self._sample(f"{name}_count", {"model": model}, total))
        for gauge_name, kind, help_text, values in gauges:
            lines += _head(gauge_name, kind, help_text)
            lines += [self._sample(gauge_name, labels, value) for labels, value in values]
        return "\n".join(lines) + "\n"

    def _sample(self, name: str, labels: Mapping[str, str], value: float) -> str:
        """Return the line of one sample."""
        named = ",".join(f'{key}="{_escaped(text)}"' for key, text in {**labels, **self.labels}.items())
        return f"{name}{{{named}}} {value!r}" if named else f"{name} {value!r}"


Gauge = tuple[str, str, str, list[tuple[dict[str, str], float]]]
"""Name, type, help and samples of a metric that is read when it is asked for."""


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _escaped(text: str) -> str:
    """Return the value of a label with backslash, quote and line feed escaped."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
