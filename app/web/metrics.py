"""What the service counts, for Prometheus. Every label has few values: routes, codes, formats, steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from app.web.state.results import MemoryResults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import Metric

    from app.lanes import Lane
    from app.render.avatar import Avatar
    from app.web.connections import Connections
    from app.web.http.uploads import UploadDesk
    from app.web.state.limiter import OverlayLimiter
    from app.web.state.redis import RedisClient
    from app.web.state.results import Results
    from app.workers import WorkerPool

# Powers of two around what was measured: 0.3 ms for a crop, 60 ms for a 12 MP photo, 10 s at the deadline.
_SECONDS = tuple(0.001 * 2**power for power in range(15))


class Metrics:
    """The service's own registry and what is in it."""

    def __init__(
        self,
        *,
        pool: WorkerPool,
        uploads: UploadDesk,
        overlays: OverlayLimiter,
        results: Results,
        store: RedisClient | None,
    ) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ribbons_http_requests",
            "Requests answered; status 499 is a client that left.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "ribbons_http_request_duration_seconds",
            "From the request's headers to the end of its answer, uploading included.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._renders = Counter(
            "ribbons_renders",
            "Avatars asked for, by what became of them: ok, or the error's code. "
            "The format is unknown when one is refused before the request has been read.",
            ("outcome", "format"),
            registry=self._registry,
        )
        self._framings = Counter(
            "ribbons_framings",
            "Avatars made, by what their square was chosen: faces, head or centre; or given.",
            ("kind",),
            registry=self._registry,
        )
        self._step_seconds = Histogram(
            "ribbons_render_step_duration_seconds",
            "Time in each step of making an avatar.",
            ("step",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_Gauges(pool, uploads, overlays))
        if isinstance(results, MemoryResults):
            self._registry.register(_MemoryGauges(results))
        if store is not None:
            self._registry.register(_StoreGauges(store))

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def avatar_made(self, output_format: str, avatar: Avatar) -> None:
        """Count an avatar, by what its square was chosen, and the seconds of each of its steps."""
        self._renders.labels("ok", output_format).inc()
        self._framings.labels(avatar.framing.kind).inc()
        for step, duration in avatar.seconds.items():
            self._step_seconds.labels(step).observe(duration)

    def avatar_refused(self, output_format: str, code: str) -> None:
        """Count an avatar that was asked for and not made."""
        self._renders.labels(code, output_format).inc()

    def watch_connections(self, connections: Connections) -> None:
        """Tell of connections, too."""
        self._registry.register(_ConnectionGauges(connections))

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    """Reads what others count already, when Prometheus asks."""

    def __init__(self, pool: WorkerPool, uploads: UploadDesk, overlays: OverlayLimiter) -> None:
        self._pool = pool
        self._places = uploads.places
        self._overlays = overlays.slots

    def collect(self) -> Iterator[Metric]:
        pool, places = self._pool, self._places
        yield _by_lane("ribbons_jobs_running", "Jobs that workers run now.", pool.running)
        yield _by_lane("ribbons_jobs_waiting", "Jobs that wait for a worker.", pool.waiting)
        yield GaugeMetricFamily("ribbons_uploads_arriving", "Photos that are arriving.", places.arriving)
        yield GaugeMetricFamily(
            "ribbons_upload_held_bytes", "Memory of photos that arrive or wait.", places.held_bytes
        )
        lost = CounterMetricFamily(
            "ribbons_workers_lost", "Workers that were killed or died, and were replaced.", labels=["reason"]
        )
        for reason, count in pool.lost.items():
            lost.add_metric([reason], count)
        yield lost
        yield from self._collect_turns()

    def _collect_turns(self) -> Iterator[Metric]:
        given_up = CounterMetricFamily(
            "ribbons_places_given_up",
            "Places of those who waited or sent that others got: their address had more of them (share), "
            "or they sent much more slowly than the rest (slow).",
            labels=["place", "reason"],
        )
        refused = CounterMetricFamily(
            "ribbons_refused_for_share",
            "Requests refused because their address had more than its share of the places.",
            labels=["place"],
        )
        for place, slots in (("worker", self._pool), ("overlay", self._overlays)):
            given_up.add_metric([place, "share"], slots.given_up)
            refused.add_metric([place], slots.refused)
        for reason, count in self._places.given_up.items():
            given_up.add_metric(["upload", reason], count)
        refused.add_metric(["upload"], self._places.refused)
        yield given_up
        yield refused


def _by_lane(name: str, documentation: str, jobs: Mapping[Lane, int]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, documentation, labels=["lane"])
    for lane, count in jobs.items():
        gauge.add_metric([lane], count)
    return gauge


class _ConnectionGauges(Collector):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("ribbons_connections_open", "Connections.", self._connections.count)
        yield CounterMetricFamily(
            "ribbons_connections_given_up",
            "Connections that were closed for one of an address that had fewer.",
            self._connections.given_up,
        )


class _MemoryGauges(Collector):
    """Finished avatars in this process. What Redis holds, Redis' own exporters tell."""

    def __init__(self, results: MemoryResults) -> None:
        self._results = results

    def collect(self) -> Iterator[Metric]:
        results = self._results
        yield GaugeMetricFamily("ribbons_results_held", "Finished avatars that are kept.", results.held)
        yield GaugeMetricFamily(
            "ribbons_results_held_bytes", "Memory of finished avatars that are kept.", results.held_bytes
        )
        yield CounterMetricFamily(
            "ribbons_results_evicted",
            "Finished avatars that left before their time, because memory was full.",
            results.evicted,
        )


class _StoreGauges(Collector):
    def __init__(self, store: RedisClient) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "ribbons_redis_failures", "What was asked of Redis in vain.", self._store.failures
        )
