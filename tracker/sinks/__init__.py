"""Where results go: the formats of `tracker.formats` that a run saves, an annotated video, a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tracker.analytics.zones import Scene
from tracker.errors import ConfigError
from tracker.formats import registry
from tracker.protocols import Sink

__all__ = ["FORMATS", "Sink", "open_sink"]

FORMATS: Mapping[str, str] = {
    **{name: format_.saved for name, format_ in registry.FORMATS.items() if format_.saved is not None},
    "video": "tracks.mp4",
    "analytics": "analytics",
}
"""What can be saved, and the name of its file or folder in a run's folder."""


def check_formats(names: Sequence[str]) -> None:
    """Refuse a format that does not exist.

    Raises:
        ConfigError: names it, and those that exist.
    """
    for name in names:
        if name not in FORMATS:
            raise ConfigError(f"--save {name}: unknown format; there are: {', '.join(FORMATS)}")


def open_sink(
    name: str,
    folder: Path,
    *,
    class_names: Mapping[int, str] | None = None,
    frame_rate: float | None = None,
    scene: Scene | None = None,
) -> Sink:
    """The sink of a format, writing into a run's folder.

    Args:
        name: of `FORMATS`.
        folder: of the run.
        class_names: names of class ids.
        frame_rate: of the source, where known.
        scene: zones and lines, which videos show and analytics count.
    """
    check_formats([name])
    path = folder / FORMATS[name]
    if name == "parquet":
        from tracker.sinks.parquet import ParquetSink

        return ParquetSink(path, class_names)
    if name == "video":
        from tracker.sinks.video import VideoSink

        return VideoSink(path, frame_rate, scene=scene, class_names=class_names)
    if name == "analytics":
        from tracker.sinks.analytics import AnalyticsSink

        return AnalyticsSink(path, scene or Scene(), class_names)
    from tracker.sinks.text import LineSink

    return LineSink(path, name, class_names)
