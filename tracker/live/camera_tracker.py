"""The tracker of one camera: its ids never come twice, whatever happens to the process, the picture or the disk."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.association.engine import Engine
from tracker.errors import ReacquireError
from tracker.sources.live import CapturedFrame
from tracker.types import Detections, Tracks

log = logging.getLogger("reacquire.live")
State = dict[str, NDArray[Any]]


class CameraTracker:
    """An engine with what a service needs of it beyond `update`.

    Args:
        camera: its name.
        engine: its own.
        allow: takes the next id and how many may be given; the id that may be given next.

    Attributes:
        resized: how often pictures came in another size, with which all tracks begin anew.
        lock: of the tracker's state, and of what follows from it: while a picture is tracked, saved or restored.
    """

    def __init__(
        self, camera: str, engine: Engine, allow: Callable[[int, int], int] = lambda wanted, _: wanted
    ) -> None:
        self.engine, self.lock = engine, threading.RLock()
        self._camera, self._allow = camera, allow
        self._restored: bool | None = None  # whether embeddings came with what was restored; None once it goes on
        self._size: tuple[int, int] | None = None
        self.resized = 0

    @property
    def next_id(self) -> int:
        """The id that comes next."""
        with self.lock:
            return self.engine.next_id

    @property
    def fingerprint(self) -> str:
        """The recipe with the embedder's own threshold: what another embedder saw means nothing to this one."""
        return json.dumps(self.engine.recipe.model_dump(mode="json"), sort_keys=True)

    def track(self, captured: CapturedFrame, detections: Detections) -> tuple[Tracks, float]:
        """The tracks of the next picture, and seconds of a pause before it that count as none."""
        size = (captured.image.shape[1], captured.image.shape[0])
        if self._size not in (None, size):
            log.info("%s: the picture's size changed to %d×%d; tracks begin anew", self._camera, *size)
            self.engine.forget_tracks()
            self.resized += 1
        self._size = size
        wanted = self.engine.next_id
        allowed = self._allow(wanted, len(detections))
        if allowed != wanted:
            self.engine.continue_ids_at(allowed)
        return self._update(captured, detections)

    def _update(self, captured: CapturedFrame, detections: Detections) -> tuple[Tracks, float]:
        image = captured.image if self.engine.needs_image else None
        pause = 0.0
        if self._restored is not None:
            try:
                pause = self.rejoin(detections, captured.timestamp)
                return self.engine.update(detections, timestamp=captured.timestamp, image=image), pause
            except ReacquireError as error:  # as embeddings of another network
                log.warning("%s: the tracks of before cannot go on: %s", self._camera, error)
                self.begin_anew(self.engine.next_id)
        return self.engine.update(detections, timestamp=captured.timestamp, image=image), pause

    def rejoin(self, detections: Detections, timestamp: float) -> float:
        """Prepare restored tracks for the first picture after the pause; seconds of it that count as none."""
        known, self._restored = self._restored, None
        return 0.0 if known is None else self.engine.rejoin(detections, timestamp, embeddings_known=known)

    def restore(self, state: State, first: int) -> None:
        """Take up a saved state, with ids from `first` on.

        Raises:
            ReacquireError: it is none of this engine.
        """
        self.engine.load_state_dict(state | {"next_id": np.array([first])})
        self._restored = "anonymous" not in state

    def begin_anew(self, first: int) -> None:
        """Let everything go, the clock and the learned priors too; `first` is the next id, never below those given."""
        self.engine.reset()
        self.engine.continue_ids_at(first)
