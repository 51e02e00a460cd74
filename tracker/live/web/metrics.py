"""Metrics for Prometheus, gathered when they are asked for; a registry of their own for each app."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tracker.live.status import LATENCY_BOUNDS, CameraStatus, LiveView
from tracker.live.web.pictures import Gallery
from tracker.live.web.streams import Places

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """Everything the service says of itself, as metrics."""

    def __init__(self, view: LiveView, gallery: Gallery, watching: Places, listening: Places) -> None:
        self._view, self._gallery = view, gallery
        self._watching, self._listening = watching, listening
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: registering must not ask the service."""
        return []

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """All metrics, now."""
        statuses = [camera.status() for camera in list(self._view.cameras.values())]
        yield from self._of_service()
        yield from _of_cameras(statuses)
        yield from _of_places(statuses)
        yield _latency(statuses)

    def _of_service(self) -> Iterable[Metric]:
        status = self._view.status()
        info = GaugeMetricFamily("reacquire_info", "Always 1; says which version.", labels=["version"])
        info.add_metric([status.version], 1)
        yield info
        yield GaugeMetricFamily("reacquire_start_time_seconds", "Unix time of the start.", status.started)
        yield GaugeMetricFamily("reacquire_overloaded", "1 while the networks cannot keep up.", status.overloaded)
        yield GaugeMetricFamily("reacquire_detector_fps", "Frames a second through the detector.", status.detector_fps)
        yield GaugeMetricFamily("reacquire_detector_batch_frames", "Mean frames a batch.", status.batch)
        if status.gpu_memory is not None:
            yield GaugeMetricFamily("reacquire_gpu_memory_bytes", "GPU memory in use.", status.gpu_memory)
        troubles = GaugeMetricFamily("reacquire_trouble", "1 where results cannot be written or sent.", labels=["what"])
        for what in status.troubles:
            troubles.add_metric([what], 1)
        yield troubles
        streams = GaugeMetricFamily("reacquire_page_streams", "Open streams of the page.", labels=["kind"])
        streams.add_metric(["pictures"], self._watching.taken)
        streams.add_metric(["events"], self._listening.taken)
        yield streams
        pictures = "Pictures encoded for the page."
        yield CounterMetricFamily("reacquire_page_pictures_encoded", pictures, self._gallery.encoded)


GAUGES: dict[str, tuple[str, Callable[[CameraStatus], float]]] = {
    "up": ("1 while it is live.", lambda status: status.state == "live"),
    "fps_in": ("Frames a second that arrive.", lambda status: status.fps_in),
    "fps_out": ("Frames a second that are tracked.", lambda status: status.fps_out),
    "tracks": ("Objects in view.", lambda status: status.tracks),
}
COUNTERS: dict[str, tuple[str, Callable[[CameraStatus], float]]] = {
    "frames_dropped": ("Frames that gave way to newer ones.", lambda status: status.dropped),
    "frames_lost": ("Damaged frames that were left out.", lambda status: status.lost),
    "resized": ("Times that frames came in another size.", lambda status: status.resized),
    "reconnects": ("Times it was lost and found again.", lambda status: status.reconnects),
}


def _of_cameras(statuses: list[CameraStatus]) -> Iterable[Metric]:
    for name, (words, value) in GAUGES.items():
        gauge = GaugeMetricFamily(f"reacquire_camera_{name}", words, labels=["camera"])
        for status in statuses:
            gauge.add_metric([status.name], value(status))
        yield gauge
    for name, (words, value) in COUNTERS.items():
        counter = CounterMetricFamily(f"reacquire_camera_{name}", words, labels=["camera"])
        for status in statuses:
            counter.add_metric([status.name], value(status))
        yield counter
    seen = CounterMetricFamily("reacquire_camera_identities", "Distinct ids.", labels=["camera", "class"])
    for status in statuses:
        for class_name, count in status.counts.items():
            seen.add_metric([status.name, class_name], count)
    yield seen


def _of_places(statuses: list[CameraStatus]) -> Iterable[Metric]:
    labels = ["camera", "line", "direction", "class"]
    crossed = CounterMetricFamily("reacquire_line_crossings", "Crossings of lines.", labels=labels)
    inside = GaugeMetricFamily("reacquire_zone_objects", "Objects in zones.", labels=["camera", "zone", "class"])
    for status in statuses:
        for line, directions in status.lines.items():
            for direction, counts in directions.items():
                for class_name, count in counts.items():
                    crossed.add_metric([status.name, line, direction, class_name], count)
        for zone, counts in status.zones.items():
            for class_name, count in counts.items():
                inside.add_metric([status.name, zone, class_name], count)
    yield crossed
    yield inside


def _latency(statuses: list[CameraStatus]) -> Metric:
    words = "Seconds from a frame's arrival to its tracks."
    family = HistogramMetricFamily("reacquire_camera_latency_seconds", words, labels=["camera"])
    bounds = [*(str(bound) for bound in LATENCY_BOUNDS), "+Inf"]
    for status in statuses:
        if status.latencies is not None:
            buckets = list(zip(bounds, accumulate(float(n) for n in status.latencies.counts), strict=True))
            family.add_metric([status.name], buckets, status.latencies.total)
    return family
