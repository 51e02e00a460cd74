"""`reacquire track`: a source in, a folder of results out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.table import Table
from rich.text import Text

from tracker.cli.console import LOADING, leave_at_once, print_json, stderr, stdout
from tracker.cli.progress import FrameProgress

if TYPE_CHECKING:
    from tracker.config import PipelineSettings
    from tracker.pipeline import Step
    from tracker.protocols import Source
    from tracker.run.refinement import Refinement
    from tracker.run.result import RunResult

EXIT = {"done": 0, "damaged": 1, "interrupted": 130}
LONGEST = 5

EPILOG = """
[bold]Examples[/]

  reacquire track street.mp4

  reacquire track 0 --show                                     the first webcam

  reacquire track rtsp://user:secret@10.0.0.5/stream --max-frames 1000

  reacquire track MOT17-09/ --detector public:MOT17-09/det/det.txt --tracker bytetrack

  reacquire track street.mp4 --detector yolo11s.pt --classes person,car --set tracker.birth.score=0.7

  reacquire track street.mp4 --zones street.yaml               who crossed which line, who was where and when

  reacquire track street.mp4 --refine both                     gaps filled, and who came back joined, at the end
"""


def track(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Video file, folder of images, MOT sequence, webcam number, rtsp:// or http://."
        ),
    ],
    tracker: Annotated[
        str | None, typer.Option("--tracker", "-t", metavar="NAME|FILE", help="Recipe; see configs/trackers.")
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option("--detector", "-d", metavar="WEIGHTS", help="YOLO weights or export, or public:DET.txt."),
    ] = None,
    reid: Annotated[
        str | None, typer.Option("--reid", "-r", metavar="WEIGHTS|none", help="Re-identification weights.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", "-c", metavar="NAME,…", help="Keep these classes only.")
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda:0", help="Where the networks run.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of results.")] = None,
    save: Annotated[
        str, typer.Option("--save", "-s", metavar="FORMAT,…", help="Of mot, video, parquet, csv, jsonl, analytics.")
    ] = "mot,video,parquet",
    zones: Annotated[
        Path | None,
        typer.Option(
            "--zones",
            metavar="FILE",
            help="YAML with zones, lines and what to ignore in the picture: they are drawn on the video, and counts "
            "are saved (adds analytics to --save).",
        ),
    ] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many frames.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Open a window; q closes it.")] = False,
    config: Annotated[
        str, typer.Option("--config", metavar="NAME|FILE", help="Settings of the whole pipeline.")
    ] = "default",
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="key.path=value", help="Change one setting; may be repeated.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in the same folder.")] = False,
    trust_weights: Annotated[
        bool, typer.Option("--trust-weights", help="Load weights that may run code when loaded.")
    ] = False,
    refine: Annotated[
        str | None,
        typer.Option(
            "--refine",
            metavar="join|gap|both",
            help="At the end, join tracks that are one object, fill gaps of up to a second, or both; into "
            "tracks.refined.* beside the originals.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Write what was thought of every pair, for `reacquire explain`."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Track a video, a camera or a folder of images; write ids, boxes and an annotated video."""
    from tracker.analytics.zones import Scene, read_scene
    from tracker.run.job import Job

    settings = pipeline_settings(
        config,
        override or [],
        tracker=tracker,
        detector=detector,
        reid=reid,
        classes=classes,
        device=device,
        trust=trust_weights,
    )
    formats = _names(save, "--save")
    scene = Scene() if zones is None else read_scene(zones)
    if (scene.zones or scene.lines) and "analytics" not in formats:
        formats = (*formats, "analytics")
    job = Job(
        source=source,
        settings=settings,
        out=out,
        save=formats,
        scene=scene,
        max_frames=max_frames,
        show=show,
        overwrite=overwrite,
        explain=explain,
        refine=cast("Refinement | None", refine),
    )
    outcome = run_with_progress(job)
    if as_json:
        print_json(outcome.summary())
    else:
        print_summary(outcome)
    raise typer.Exit(EXIT[outcome.status])


def pipeline_settings(
    config: str,
    overrides: list[str],
    *,
    tracker: str | None = None,
    detector: str | None = None,
    reid: str | None = None,
    classes: str | None = None,
    device: str | None = None,
    trust: bool = False,
) -> PipelineSettings:
    """Settings of a file with what was said on the command line laid over them; `--set` has the last word."""
    from tracker.config import load_pipeline_settings

    said: dict[str, Any] = {
        "detector.weights": detector,
        "detector.classes": None if classes is None else _names(classes, "--classes"),
        "detector.trust": trust or None,
        "embedder.weights": reid,
        "device": device,
    }
    # JSON is YAML, and quotes what must be quoted.
    spoken = [f"{key}={json.dumps(value)}" for key, value in said.items() if value is not None]
    return load_pipeline_settings(config, [*spoken, *overrides], tracker=tracker)


def _names(text: str, option: str) -> tuple[str, ...]:
    """Names between commas. None at all is a mistake, such as a variable of the shell that is not set."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise typer.BadParameter("expected names with commas between them, got none", param_hint=option)
    return names


def run_with_progress(job: Any) -> RunResult:
    """Run a job, showing how far it is."""
    from tracker.run.interruption import interruptible
    from tracker.run.job import ProgressListener
    from tracker.run.track import run

    class Show(ProgressListener):
        progress: FrameProgress | None = None

        def asked_twice(self) -> None:
            leave_at_once()

        def say(self, line: str) -> None:
            stderr.print(line, highlight=False)

        def started(self, source: Source) -> None:
            self.progress = FrameProgress(source.name, source.length)
            self.progress.__enter__()

        def stepped(self, step: Step) -> None:
            if self.progress is not None:
                self.progress.advance(f"{int((~step.tracks.predicted).sum())} in view")

    listener = Show()
    stderr.print(LOADING, highlight=False)
    try:
        with interruptible(leave_at_once):  # until there is something to finish
            return run(job, listener)
    finally:
        if listener.progress is not None:
            listener.progress.__exit__(None, None, None)


def print_summary(result: RunResult) -> None:
    """What was done, how fast, who was seen longest, and where the files are."""
    counts = result.counts
    heading = {"done": ("done", "green"), "interrupted": ("stopped", "yellow"), "damaged": ("ended early", "red")}
    table = Table(title=None, show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("result", Text(*heading[result.status]))
    if result.problem:
        table.add_row("problem", Text(result.problem, "red"))
    table.add_row("frames", f"{counts.frames} in {result.seconds:.1f} s, {result.fps:.1f} a second")
    stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in result.milliseconds.items())
    table.add_row("ms a frame", stages or "none")
    beside = f" and {counts.predicted} predicted" if counts.predicted else ""
    table.add_row("identities", f"{len(counts.lives)} ({counts.boxes} boxes{beside})")
    for row, (track_id, life) in enumerate(counts.longest(LONGEST)):
        seen = f"#{track_id}: {life.frames} frames, {life.first:.1f}–{life.last:.1f} s"
        table.add_row("longest tracks" if row == 0 else "", seen)
    for row, line in enumerate(result.conclusions):
        table.add_row("crossed" if row == 0 else "", line)
    for row, path in enumerate(result.files):
        table.add_row("files" if row == 0 else "", str(path))
    stdout.print(table, highlight=False, soft_wrap=True)
