"""What `reacquire eval` makes for looking at: the page, and the video."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import typer

from tracker.cli.console import stderr
from tracker.cli.progress import FrameProgress

PAGES = (".html", ".htm")


def refuse_name(path: Path | None, endings: Sequence[str], option: str) -> None:
    """Refuse a file of another kind, or in a folder that is not there."""
    if path is not None and path.suffix.lower() not in endings:
        raise typer.BadParameter(f"expected a name that ends in {endings[0]}, got {path.name}", param_hint=option)
    if path is not None and not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"{path.parent}: no such folder", param_hint=option)


def refuse_pictures(
    pred: Sequence[Path], benchmark: str, *, report: Path | None, video: Path | None, frames: Path | None
) -> None:
    """Refuse, before anything is scored, what could not be made."""
    from tracker.evaluation.benchmarks import SEVERAL

    refuse_name(report, PAGES, "--report")
    refuse_name(video, (".mp4",), "--video")
    if video is not None and len(pred) > 1:
        raise typer.BadParameter("a video shows one tracker: give --pred once", param_hint="--video")
    if video is not None and benchmark in SEVERAL:
        names = " or ".join(SEVERAL[benchmark])
        raise typer.BadParameter(f"a video shows one class: give --benchmark {names}", param_hint="--video")
    if frames is not None and report is None and video is None:
        raise typer.BadParameter("is for --report and --video", param_hint="--frames")


def save_report(path: Path, gt: Path, pred: Sequence[Path], benchmark: str, frames: Path | None) -> None:
    """Write the page and say where it is."""
    from tracker.evaluation.report import write_report

    with _counted("pictures") as progress:
        write_report(path, gt, {str(p): p for p in pred}, benchmark=benchmark, frames=frames, progress=progress)
    stderr.print(f"report: {path} ({path.stat().st_size / 1e6:.1f} MB)", highlight=False, markup=False, soft_wrap=True)


def save_video(path: Path, gt: Path, pred: Path, benchmark: str, frames: Path | None) -> None:
    """Write the video and say where it is."""
    from tracker.evaluation.video import write_video

    with _counted("video") as progress:
        write_video(path, gt, pred, benchmark=benchmark, frames=frames, progress=progress)
    stderr.print(f"video: {path}", highlight=False, markup=False, soft_wrap=True)


@contextlib.contextmanager
def _counted(title: str) -> Generator[Callable[[int, int | None], None]]:
    """A line of progress that begins with the first frame, when it is known how many there are."""
    with contextlib.ExitStack() as stack:
        shown: list[FrameProgress] = []

        def progress(done: int, total: int | None) -> None:
            if not shown:
                shown.append(stack.enter_context(FrameProgress(title, total)))
            shown[0].advance()

        yield progress
