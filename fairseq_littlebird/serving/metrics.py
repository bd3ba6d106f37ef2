"""Counts and times of the server, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120)
QUESTIONS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Of one server.

    Args:
        waiting: how many questions wait now.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, waiting: Callable[[], float]) -> None:
        self._registry = own = CollectorRegistry()
        PlatformCollector(registry=own)
        ProcessCollector(registry=own)
        self._requests = Counter("littlebird_requests", "Requests", ["path", "status"], registry=own)
        self._seconds = Histogram(
            "littlebird_request_seconds",
            "From a request's arrival to its answer",
            ["path"],
            buckets=SECONDS,
            registry=own,
        )
        self._batch_seconds = Histogram(
            "littlebird_batch_seconds", "Time of the model for the questions of a batch", buckets=SECONDS, registry=own
        )
        self._batch = Histogram("littlebird_batch_questions", "Questions of a batch", buckets=QUESTIONS, registry=own)
        Gauge("littlebird_waiting_questions", "Questions that wait now", registry=own).set_function(waiting)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Counts a request; ``path`` is that of a route, of which there are few."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, seconds: float, questions: int) -> None:
        """Counts a batch of the model."""
        self._batch_seconds.observe(seconds)
        self._batch.observe(questions)

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return generate_latest(self._registry)
