"""The record of a run: what was run, with what, and how it went."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reid.files import reserve, write_json
from tracker.run.job import Job
from tracker.run.result import RunResult
from tracker.sources.places import local_path

if TYPE_CHECKING:
    from tracker.pipeline import Pipeline
    from tracker.protocols import Source

LIBRARIES = (
    "reacquire",
    "torch",
    "torchvision",
    "ultralytics",
    "onnxruntime",
    "opencv-python",
    "av",
    "numpy",
    "numba",
)

END_BYTES = 32_768
"""Of `run.json`, for how it went: kept on the disk from the start."""
LONGEST_PROBLEM = 4000
"""Letters of a problem."""


class RunRecord:
    """`run.json`: what was run, with what, and how it went; there from the start, always whole."""

    def __init__(self, path: Path, job: Job, source: Source, pipeline: Pipeline) -> None:
        self.path = path
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._source, self._pipeline = source, pipeline
        self._about: dict[str, Any] = {
            "source": {
                "name": source.name,
                "place": _place(job.source),
                "kind": source.kind,
                "size": source.size,
                "frame_rate": source.frame_rate,
                "length": source.length,
            },
            "settings": job.settings.model_dump(mode="json"),
            "save": list(job.save),
            "scene": job.scene.model_dump(mode="json", exclude_defaults=True),
            "refine": job.refine,
            "detector": pipeline.detector.describe(),
            "embedder": pipeline.embedder.describe() if pipeline.embedder is not None else None,
            "versions": versions(),
            "platform": platform.platform(),
        }
        write_json(path, {"status": "running", "started": self._started, **self._about})

    def keep_place(self) -> None:
        """Make sure that it can be written how it went, also on a disk that is full by then."""
        reserve(self.path, self.path.stat().st_size + END_BYTES)

    def write(self, result: RunResult, status: str, problem: str | None) -> None:
        """Write how it went."""
        problem = None if problem is None else problem[:LONGEST_PROBLEM]
        summary = result.summary() | {"status": status, "problem": problem}
        self._about["detector"] = self._pipeline.detector.describe()  # may have counted rows that it dropped
        self._about["source"] |= {"lost": self._source.lost, "rescaled": self._source.rescaled}
        times = {"started": self._started, "ended": datetime.now(UTC).isoformat(timespec="seconds")}
        write_json(self.path, summary | times | self._about)


def _place(source: str) -> str | None:
    """Where a local source lies, so that its pictures can be read again; None of an address or a webcam."""
    path = None if source.isdecimal() and not os.path.exists(source) else local_path(source)
    return None if path is None else os.path.abspath(path)


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found
