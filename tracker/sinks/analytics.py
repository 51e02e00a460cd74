"""Tables and a picture of what the tracks tell: who was here, who crossed, how many when, and where."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from reid.files import Growing, replacing, write_text, writing
from tracker.analytics.intervals import INTERVAL
from tracker.analytics.observer import Observer, TimedEvent
from tracker.analytics.zones import Scene
from tracker.protocols import Sink
from tracker.types import Detections, Frame, Tracks

EVENTS = ("time", "kind", "id", "class", "place", "direction", "seconds")
IDENTITIES = (
    *("source", "id", "identity", "class", "start", "end", "seconds_in_view"),
    *("first_x", "first_y", "last_x", "last_y", "zones"),
)
OCCUPANCY = ("start", "end", "place", "class", "mean", "most", "entered")
CROSSINGS = ("start", "end", "line", "class", "a_to_b", "b_to_a")


class AnalyticsSink(Sink):
    """Counts while it goes, and writes a folder: events as they come, the rest at the end.

    Args:
        path: the folder.
        scene: zones and lines.
        class_names: names of class ids.
        interval: seconds of the parts that counts are told for.

    Raises:
        ReacquireError: a file cannot be written.
    """

    def __init__(
        self, path: Path, scene: Scene, class_names: Mapping[int, str] | None = None, *, interval: float = INTERVAL
    ) -> None:
        self.path: Path = path
        self._observer = Observer(scene, class_names or {}, interval=interval)
        self._source = ""
        self.conclusion: Sequence[str] = ()
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        self._events = Growing(path / "events.csv")
        self._events.append(_lines([EVENTS]))

    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        self._source = frame.source
        self._tell(self._observer.update(frame, tracks))

    def close(self) -> None:
        self._tell(self._observer.finish())
        self._events.close()
        for name, heading, rows in (
            ("identities.csv", IDENTITIES, self._identities()),
            ("occupancy.csv", OCCUPANCY, self._occupancy()),
            ("crossings.csv", CROSSINGS, self._crossings()),
        ):
            write_text(self.path / name, _lines([heading, *rows]).decode())
        picture = self._observer.heat_map()
        if picture is not None:
            _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
            with replacing(self.path / "heatmap.jpg") as partial, writing(partial):
                partial.write_bytes(encoded.tobytes())
        self.conclusion = tuple(
            f"{line}: {ways['a_to_b']} a to b, {ways['b_to_a']} b to a" for line, ways in self._observer.crossed.items()
        )

    def _tell(self, events: Iterable[TimedEvent]) -> None:
        rows = [
            (
                *(f"{e.time:.3f}", e.kind, e.track, e.class_name, e.place),
                *(e.data.get("direction", ""), e.data.get("seconds", "")),
            )
            for e in events
        ]
        if rows:
            self._events.append(_lines(rows))

    def _identities(self) -> Iterator[Sequence[Any]]:
        for visit in self._observer.visits:
            times = (f"{visit.first:.3f}", f"{visit.last:.3f}", f"{visit.seconds:.3f}")
            places = (f"{share:.4f}" for share in (*visit.first_foot, *visit.last_foot))
            yield (self._source, visit.id, "", visit.class_name, *times, *places, "; ".join(visit.zones))

    def _occupancy(self) -> Iterator[Sequence[Any]]:
        length = self._observer.intervals.length
        for part in self._observer.intervals:
            for (place, class_name), there in sorted(part.present.items()):
                mean = there.seconds / part.seconds if part.seconds else float(there.most)
                yield (
                    *(f"{part.start:.3f}", f"{part.start + length:.3f}", place, class_name),
                    *(f"{mean:.3f}", there.most, there.entered),
                )

    def _crossings(self) -> Iterator[Sequence[Any]]:
        """A row for every line and part, those with nobody too: an empty hour is an answer."""
        length = self._observer.intervals.length
        for part in self._observer.intervals:
            for line in self._observer.crossed:
                classes = sorted({class_name for name, class_name, _ in part.crossed if name == line}) or [""]
                for class_name in classes:
                    ways = (part.crossed.get((line, class_name, way), 0) for way in ("a_to_b", "b_to_a"))
                    yield (f"{part.start:.3f}", f"{part.start + length:.3f}", line, class_name, *ways)


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows of CSV as bytes."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")
