"""`reacquire reid adapt`: weights that have learned the user's cameras from their own tracks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from tracker.cli.console import print_json, stderr, stdout
from tracker.cli.reid_options import WEIGHTS, AsJson, Overwrite, writable
from tracker.cli.reid_runs import RunTracks, pictures, read_run
from tracker.cli.reid_train import TrainProgress

if TYPE_CHECKING:
    from torch import Tensor

    from reid.adapt.loop import Adaptation
    from reid.adapt.tracklets import Tracklets
    from reid.adapt.trust import Verdict
    from reid.weights_file import EmbedderFile

EPILOG = """
[bold]Examples[/]

  reacquire reid adapt gate.mp4 yard.mp4 --out ours.safetensors --minutes 60

  reacquire reid adapt runs/track/gate runs/track/yard --out ours.safetensors

  reacquire reid adapt crops/ --out ours.safetensors        (a folder is CAMERA/TRACKLET/*.jpg)

No labels: crops of a track are one person, tracks seen at once are two, and what is each the nearest of the other is
learned from in rounds. A part of the tracklets is held out and judges: the new weights are written only if they tell
these apart better and nothing got worse. The page beside them shows before and after. Run it again to go on where it
stopped.
"""


def adapt(
    sources: Annotated[
        list[str], typer.Argument(metavar="RUN_OR_VIDEO_OR_FOLDER…", help="Each source is a camera of its own.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.safetensors", help="The adapted weights.")],
    weights: Annotated[str, typer.Option("--weights", "-w", metavar="WEIGHTS", help=WEIGHTS)] = "default",
    minutes: Annotated[float, typer.Option("--minutes", min=0.05, metavar="N", help="Of learning, all starts.")] = 30.0,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Crops of people elsewhere, whom the weights are not to forget."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of all chance.")] = 1,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Learn the user's cameras from their own tracks, without labels; offered only if it is surely better."""
    from reid.adapt.loop import Adaptation, Settings
    from reid.adapt.tracklets import joined
    from reid.data.crops import read_crops
    from reid.data.cropset import images_in
    from reid.embedder import weights_path
    from reid.errors import WeightsError
    from reid.load import read_about, read_network

    writable(out, overwrite=overwrite, endings=(".safetensors",))
    about = read_about(weights_path(weights))
    if about.kind != "safetensors":
        raise WeightsError(f"{weights}: only weights of ours (safetensors, `reacquire reid train`) can be adapted")
    network = read_network(about)
    work = out.with_suffix(".adapt")
    size = about.preprocessing.size
    tracklets = joined([_tracklets(source, size, work) for source in sources])
    old: Tensor | None = None if keep is None else read_crops(images_in(keep), size)
    settings = Settings(minutes=minutes, seed=seed)
    with TrainProgress() as progress:
        adaptation = Adaptation(network, tracklets, old=old, out=work, settings=settings, report=progress.report)
        adaptation.run(progress)
    said = _judge(adaptation, about, out)
    page = out.with_suffix(".html")
    if as_json:
        print_json(
            {
                "promoted": said.promoted,
                "reason": said.reason,
                "before": said.before,
                "after": said.after,
                "weights": str(out) if said.promoted else None,
                "page": str(page),
            }
        )
        return
    for name, value in said.before.items():
        stdout.print(f"{name:<12} {value:.3f} before, {said.after[name]:.3f} after", highlight=False)
    stdout.print(said.reason, highlight=False)
    stderr.print(f"{page}: before and after; it shows crops of people, so mind who gets it", highlight=False)
    if said.promoted:
        stderr.print(f"{out}: use it with  reacquire track VIDEO --reid {out}", highlight=False)


def _judge(adaptation: Adaptation, about: EmbedderFile, out: Path) -> Verdict:
    """Judge, write the page, and the weights if they are offered."""
    from reid.adapt.page import write_page
    from reid.models import EmbeddingNetwork
    from reid.train.embedding import embed_crops
    from reid.weights_file import save_weights

    network, said = adaptation.judged()
    assert isinstance(network, EmbeddingNetwork)
    held_out = adaptation.judging
    before, after = (embed_crops(n, held_out.crops) for n in (adaptation.before, network))
    write_page(out.with_suffix(".html"), said, held_out, before, after)
    if said.promoted:
        minutes = f"{adaptation.seconds / 60:.0f} minutes on {len(adaptation.learned)} tracklets"
        save_weights(
            out,
            network,
            backbone=about.backbone,
            pooling=about.pooling,
            preprocessing=about.preprocessing,
            threshold=about.threshold,
            about={"adapted": f"from {about.path.name} in {minutes}"},
        )
        _calibrate(out, about, held_out, after)
    return said


def _calibrate(out: Path, about: EmbedderFile, held_out: Tracklets, vectors: NDArray[np.float32]) -> None:
    """The old weights' odds, corrected by the tracklets that were not learned from."""
    from reid.calibration import load_calibration, write_calibration
    from reid.calibration.labelled import count_pairs

    apart = np.zeros((len(held_out) + 1,) * 2, bool)
    apart[1:, 1:] = held_out.apart
    who = held_out.tracklet + 1
    counts = count_pairs(vectors, who, held_out.camera[held_out.tracklet], apart=apart)
    write_calibration(out, load_calibration(about.path).with_pairs(counts).renamed(adapted="without labels"))


def _tracklets(source: str, size: tuple[int, int], work: Path) -> Tracklets:
    """Of a folder of crops, a run, or a video, which is tracked first."""
    from reid.adapt.tracklets import read_folder
    from tracker.run.folder import RECORD

    path = Path(source)
    if (path / RECORD).is_file():
        return _of_run(read_run(path), size)
    if path.is_dir() and not any(path.glob("img1")) and any(p.is_dir() for p in path.iterdir()):
        return read_folder(path, size)
    return _of_run(read_run(_tracked(source, work)), size)


def _tracked(source: str, work: Path) -> Path:
    """The run of a video, made where it is not there yet."""
    import json

    from tracker.config import load_pipeline_settings
    from tracker.run.folder import RECORD
    from tracker.run.job import Job
    from tracker.run.track import run

    folder = work / "runs" / f"{Path(source).stem or 'source'}"
    record = folder / RECORD
    if record.is_file() and json.loads(record.read_text())["status"] in ("done", "damaged"):
        return folder
    stderr.print(f"{source}: tracking …", highlight=False)
    settings = load_pipeline_settings()
    return run(Job(source=source, settings=settings, out=folder, save=("parquet",), overwrite=True)).folder


def _of_run(run: RunTracks, size: tuple[int, int]) -> Tracklets:
    """Some crops of every track, cut from the source's pictures."""
    from reid.adapt.tracklets import of_boxes
    from reid.calibration.stream import worth_looking

    rows = worth_looking(run.boxes)
    images = ((frame.image, places) for frame, places in pictures(run, rows, lambda line: stderr.print(line)))
    return of_boxes(run.boxes, rows, images, size, name=run.folder.name)
