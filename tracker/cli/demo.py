"""`reacquire demo`: the main job on the clip that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracker.cli.console import print_json, stderr
from tracker.cli.track import EXIT, pipeline_settings, print_summary, run_with_progress

CLIP = "plaza.mp4"


def clip() -> Path:
    """The demo clip: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parents[1] / "videos" / CLIP
    return inside if inside.is_file() else Path(__file__).parents[2] / "videos" / CLIP


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of results.")] = Path("runs/demo"),
    max_frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many frames.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Track the bundled clip of a plaza with the bundled weights: no network, no set-up."""
    from tracker.run.job import Job

    outcome = run_with_progress(
        Job(source=str(clip()), settings=pipeline_settings("default", []), out=out, max_frames=max_frames)
    )
    if as_json:
        print_json(outcome.summary())
    else:
        print_summary(outcome)
        stderr.print(f"\nWatch {outcome.folder / 'tracks.mp4'}; then: reacquire track YOUR-VIDEO", highlight=False)
    raise typer.Exit(EXIT[outcome.status])
