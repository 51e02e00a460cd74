"""What this machine has and what is missing, in words."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

Verdict = Literal["good", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what.
        verdict: good; note: works, but worth knowing; bad: something will not work.
        words: what was found, and what to do about it.
    """

    subject: str
    verdict: Verdict
    words: str


def examine() -> list[Finding]:
    """Look at everything; never raises."""
    checks: list[Callable[[], Finding]] = [
        _python,
        _packages,
        _shadow,
        _processor,
        _gpu,
        _detector_weights,
        _embedder_weights,
        _encoder,
        _display,
        _cache,
        _disk,
    ]
    return [check() for check in checks]


def _python() -> Finding:
    return Finding("Python", "good", f"{platform.python_version()} on {platform.platform()}")


REQUIRED = (
    "torch",
    "torchvision",
    "ultralytics",
    "onnxruntime",
    "opencv-python",
    "av",
    "supervision",
    "pyarrow",
    "lap",
)


def _packages() -> Finding:
    found, missing = [], []
    for name in REQUIRED:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", "bad", f"missing: {', '.join(missing)}; run: pip install reacquire")
    return Finding("packages", "good", ", ".join(found))


def _shadow() -> Finding:
    """The import name `reid` belongs to another project on the package index too."""
    spec = importlib.util.find_spec("reid")
    mine = Path(__file__).parents[1] / "reid"
    where = Path(spec.origin).parent if spec is not None and spec.origin else None
    if where is None or where.resolve() != mine.resolve():
        return Finding(
            "reid package",
            "bad",
            f"`import reid` finds {where}, not ours ({mine}); run: pip uninstall reid, then reinstall reacquire",
        )
    return Finding("reid package", "good", "ours")


def _processor() -> Finding:
    return Finding("processor", "good", f"{os.cpu_count()} cores, {platform.machine()}")


def _gpu() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("GPU", "bad", f"torch cannot be imported: {error}")
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Finding("GPU", "good", f"{names}; used by itself")
    if shutil.which("nvidia-smi"):
        return Finding(
            "GPU", "note", "there is an NVIDIA driver, but torch cannot use it: install a CUDA build of torch"
        )
    return Finding("GPU", "note", "none that torch can use: everything runs on the processor")


def _detector_weights() -> Finding:
    from tracker.errors import ReacquireError

    try:
        from tracker.detection import load_detector

        about = load_detector("person", device="cpu").describe()
    except (ReacquireError, ImportError) as error:
        return Finding("bundled detector", "bad", str(error))
    return Finding("bundled detector", "good", f"{about['architecture']}, {about['backend']}, {about['sha256'][:12]}")


def _embedder_weights() -> Finding:
    from tracker.errors import ReacquireError

    try:
        from reid import load_embedder

        about = load_embedder("default", device="cpu").describe()
    except (ReacquireError, ImportError) as error:
        return Finding("bundled embedder", "bad", str(error))
    return Finding("bundled embedder", "good", f"{about['architecture']}, {about['backend']}, {about['sha256'][:12]}")


def _encoder() -> Finding:
    from tracker.errors import ReacquireError

    try:
        from tracker.sinks.mp4 import choose_encoder

        name, _ = choose_encoder()
    except (ReacquireError, ImportError) as error:
        return Finding("video encoder", "bad", str(error))
    if name == "mpeg4":
        return Finding("video encoder", "note", "MPEG-4 only, which browsers do not play: install PyAV from PyPI")
    return Finding("video encoder", "good", name)


def _display() -> Finding:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Finding("display", "note", "none: --show will not work, the annotated video is saved all the same")
    return Finding("display", "good", "there is one, --show works")


def _cache() -> Finding:
    from reid.runtime import cache_folder

    folder = cache_folder()
    if folder is None:
        return Finding(
            "cache",
            "note",
            "cannot be written: networks run in torch, a little slower; set REACQUIRE_CACHE to a folder",
        )
    return Finding("cache", "good", str(folder))


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    words = f"{free:.1f} GB free here"
    return Finding(
        "disk", "good" if free > 1 else "note", words + ("" if free > 1 else ": an hour of video needs about 1")
    )
