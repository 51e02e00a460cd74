"""A video of one sequence that shows what CLEAR counted: correct, missed, false and switched boxes, by colour."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError
from tracker.evaluation.benchmarks import rules_of
from tracker.evaluation.clear import matches
from tracker.evaluation.evaluate import PreparedSequence, find_prediction, find_sequences, prepare_files
from tracker.evaluation.frames import find_frames
from tracker.sinks.annotate import dashed
from tracker.sinks.video import NOMINAL_RATE, VideoSink
from tracker.sources import Source, open_source
from tracker.types import Detections, Frame, Tracks

Picture = NDArray[np.uint8]

CORRECT, FALSE, SWITCHED, MISSED = range(4)
NAMES = ("correct", "false", "switched", "missed")
COLOURS = ((115, 158, 0), (0, 94, 213), (66, 228, 240), (233, 180, 86))
"""BGR, of Okabe and Ito's palette: told apart by people who do not see red and green alike."""
HOLD_SECONDS = 1.0
"""A switch is one frame; it is shown so long, or nobody would see it."""
INK, BACK = (255, 255, 255), (24, 24, 24)


class Verdicts:
    """What became of every box of a sequence, and a drawing of it.

    Args:
        prepared: the sequence, ready to be scored.
        rate: frames a second.

    Attributes:
        state: ``(R,)`` of the tracker's boxes: `CORRECT`, `FALSE` or `SWITCHED`; the last stays for a second.
        missed: ``(G,)`` whether a true box was.
        before: ``(R,)`` the track that the identity had before a switch; 0 elsewhere.
    """

    def __init__(self, prepared: PreparedSequence, rate: float = NOMINAL_RATE) -> None:
        self.gt, self.pred = prepared.gt, prepared.pred
        self._length = len(prepared.sequence)
        self._true_first, self._first = self.gt.offsets(self._length), self.pred.offsets(self._length)
        found = matches(prepared.sequence)
        self.missed = found.pred < 0
        self.state = np.full(len(self.pred), FALSE)
        self.before = np.zeros(len(self.pred), np.int64)
        self.state[found.pred[~self.missed]] = CORRECT
        order = np.lexsort((self.gt.frame, self.gt.id))
        hit = order[~self.missed[order]]
        box, frame, identity = found.pred[hit], self.gt.frame[hit], self.gt.id[hit]
        track = self.pred.id[box]
        for i in np.flatnonzero(found.switch[hit]).tolist():
            until = i + 1
            while (
                until < len(hit)
                and identity[until] == identity[i]
                and track[until] == track[i]
                and frame[until] < frame[i] + HOLD_SECONDS * rate
            ):
                until += 1
            self.state[box[i:until]] = SWITCHED
            self.before[box[i:until]] = track[i - 1]

    def draw(self, frame: Frame, tracks: Tracks) -> Picture:
        """A copy of the frame's image with the boxes on it, and a legend with their numbers in this frame.

        Args:
            frame: of the sequence; its index sets the boxes.
            tracks: not looked at.
        """
        image, pen = frame.image.copy(), _Pen(frame.size)
        inside = 0 <= frame.index < self._length
        a, b = self._first[frame.index : frame.index + 2].tolist() if inside else (0, 0)
        c, d = self._true_first[frame.index : frame.index + 2].tolist() if inside else (0, 0)
        missed = np.arange(c, d)[self.missed[c:d]]
        for row in missed.tolist():
            pen.missed(image, self.gt.xyxy[row])
        for row in sorted(range(a, b), key=lambda r: self.state[r]):
            state, track = int(self.state[row]), str(self.pred.id[row])
            words = (str(self.before[row]), track) if state == SWITCHED else (track,)
            pen.box(image, self.pred.xyxy[row], state, words)
        counts = [*np.bincount(self.state[a:b], minlength=3).tolist(), len(missed)]
        pen.legend(image, f"frame {frame.index + 1}", counts)
        return image


class _Pen:
    """Draws boxes and words in sizes that suit the picture."""

    def __init__(self, size: tuple[int, int]) -> None:
        unit = min(size)
        self._line = max(2, round(unit / 320))
        self._scale = max(0.45, unit / 1300)
        self._stroke = max(1, round(unit / 800))
        self._pad = max(2, round(unit / 200))

    def box(self, image: Picture, xyxy: NDArray[np.float64], state: int, words: tuple[str, ...]) -> None:
        x1, y1, x2, y2 = np.rint(xyxy).astype(int).tolist()
        thick = self._line * (2 if state == SWITCHED else 1)
        cv2.rectangle(image, (x1, y1), (x2, y2), (0, 0, 0), thick + 2)
        cv2.rectangle(image, (x1, y1), (x2, y2), COLOURS[state], thick)
        self._label(image, (x1, y1), COLOURS[state], words)

    def missed(self, image: Picture, xyxy: NDArray[np.float64]) -> None:
        step = 4 * self._line + 4
        for colour, thick in (((0, 0, 0), self._line + 2), (COLOURS[MISSED], self._line)):
            dashed(image, xyxy, colour, thick, step=step)

    def _label(
        self, image: Picture, corner: tuple[int, int], colour: tuple[int, int, int], words: tuple[str, ...]
    ) -> None:
        """Words on a coloured ground; two with an arrow between them, which the letters at hand do not have."""
        sizes = [self._size(word) for word in words]
        arrow = round(1.6 * sizes[0][1]) if len(words) > 1 else 0
        between = arrow + self._pad if arrow else 0
        wide = sum(w for w, _ in sizes) + between + 2 * self._pad
        high = sizes[0][1] + 2 * self._pad
        x = min(max(corner[0], 0), max(0, image.shape[1] - wide))
        y = max(corner[1], high)
        cv2.rectangle(image, (x, y - high), (x + wide, y), colour, -1)
        ink = (0, 0, 0) if sum(colour) > 300 else INK
        self._write(image, words[0], (x + self._pad, y - self._pad), ink)
        if arrow:
            start, middle = x + self._pad + sizes[0][0] + self._pad // 2, y - high // 2
            end = (start + arrow, middle)
            cv2.arrowedLine(image, (start, middle), end, ink, self._stroke, cv2.LINE_AA, tipLength=0.45)
            self._write(image, words[1], (end[0] + self._pad - self._pad // 2, y - self._pad), ink)

    def legend(self, image: Picture, title: str, counts: list[int]) -> None:
        """What the colours mean, and how many boxes there are of each, in rows across the top."""
        high, pad = self._size(title)[1], self._pad
        items: list[tuple[int | None, str, int]] = [(None, title, self._size("frame 00000")[0])]
        for state in (CORRECT, MISSED, FALSE, SWITCHED):
            width = 2 * high + 2 * pad + self._size(f"{NAMES[state]} 000")[0]
            items.append((state, f"{NAMES[state]} {counts[state]}", width))
        places, x, row = [], 2 * pad, 0
        for _, _, width in items:
            if x > 2 * pad and x + width > image.shape[1]:
                x, row = 2 * pad, row + 1
            places.append((x, high + 2 * pad + row * (high + 3 * pad)))
            x += width + 4 * pad
        band = image[: places[-1][1] + 2 * pad]
        band[:] = (band * 0.25 + np.array(BACK) * 0.75).astype(np.uint8)
        for (kind, text, _), (left, base) in zip(items, places, strict=True):
            self._entry(image, kind, text, (left, base), high)

    def _entry(self, image: Picture, state: int | None, text: str, at: tuple[int, int], high: int) -> None:
        """A word of the legend, behind its colour where it has one."""
        x, base = at
        if state == MISSED:
            self.missed(image, np.array([x, base - high, x + 2 * high, base], np.float64))
        elif state is not None:
            cv2.rectangle(image, (x, base - high), (x + 2 * high, base), COLOURS[state], -1)
        self._write(image, text, (x if state is None else x + 2 * high + 2 * self._pad, base), INK)

    def _size(self, text: str) -> tuple[int, int]:
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, self._scale, self._stroke)
        return width, height

    def _write(self, image: Picture, text: str, at: tuple[int, int], ink: tuple[int, int, int]) -> None:
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, self._scale, ink, self._stroke, cv2.LINE_AA)


def _frames_of(source: Source) -> Generator[Frame]:
    """The frames, as what can be closed when the video cannot be written: what decodes ahead ends with it."""
    yield from source


def write_video(
    path: Path,
    gt: Path,
    pred: Path,
    *,
    benchmark: str = "none",
    frames: Path | None = None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> None:
    """Write a video of one sequence that shows what was correct, missed, false and switched.

    Args:
        path: of the file, `.mp4`; it is there only when it is whole.
        gt: a `gt.txt`, or a sequence's folder.
        pred: a file, or a folder of `NAME.txt`.
        benchmark: whose rules; what they leave out is not drawn.
        frames: where the pictures are, see `find_frames`.
        progress: takes frames that are written, and how many there will be, where that is known.

    Raises:
        DataError: several sequences, no frames, or something missing or malformed.
        SourceError: the frames cannot be read.
        ReacquireError: the video cannot be written.
    """
    sequences = find_sequences(gt)
    if len(sequences) > 1:
        some = ", ".join(list(sequences)[:4])
        raise DataError(f"{gt}: a video shows one sequence, but here are {len(sequences)} ({some}, …): name one")
    ((name, (file, length)),) = sequences.items()
    predictions = find_prediction(name, pred, only=True)
    prepared = prepare_files(file, predictions, rules_of(benchmark), length=length, name=name)
    folder = find_frames(name, file, frames)
    if folder is None:
        raise DataError(f"{gt}: no frames for a video; looked for {frames or 'img1/ beside gt/'}: give --frames")
    with open_source(folder) as source:
        verdicts = Verdicts(prepared, source.frame_rate or NOMINAL_RATE)
        with VideoSink(path, source.frame_rate, draw=verdicts.draw) as sink, closing(_frames_of(source)) as pictures:
            for done, frame in enumerate(pictures, 1):
                sink.write(frame, Detections.empty(), Tracks.empty())
                progress(done, source.length)
