"""`reacquire reid`: train, judge and use embedding networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tracker.cli.console import print_json, stderr, stdout

if TYPE_CHECKING:
    from reid.judge import Judgement

app = typer.Typer(
    help="Re-identification: train, judge and use networks that turn crops into vectors.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Example:  reacquire reid eval --query val/query --gallery val/gallery",
)

Format = Annotated[
    str, typer.Option("--format", metavar="NAME", help="market1501, cuhk03, or folders: identity/crop.jpg.")
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda:0", help="Where the network runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Query = Annotated[Path, typer.Option("--query", metavar="DIR", help="Crops that are looked for.")]
Gallery = Annotated[Path, typer.Option("--gallery", metavar="DIR", help="Crops among which they are looked for.")]


def _path(weights: str) -> Path:
    import reid
    from reid.embedder import BUNDLED

    folder = Path(reid.__file__).parent / "weights"
    return folder / BUNDLED[weights] if weights in BUNDLED else Path(weights)


@app.command("train")
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file like configs/reid/default.yaml.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Checkpoint, log and weights.")] = Path(
        "runs/reid"
    ),
    device: Device = "auto",
) -> None:
    """Train a network; run it again to go on where it stopped. Writes OUT/weights.safetensors at the end."""
    from reid.judge import judge
    from reid.runtime import choose_device
    from reid.train import Trainer, TrainSettings, read
    from reid.weights_file import Preprocessing, save_weights
    from tracker.config import load_settings

    settings = load_settings(TrainSettings, config)
    device = choose_device(device)
    trainer = Trainer(settings, out, device=device, report=lambda line: stderr.print(line, highlight=False))
    network = trainer.run()
    size, threshold = settings.size_at(settings.epochs - 1), 0.5
    if settings.query is not None and settings.gallery is not None:
        judgement = judge(network, size, read(settings.query), read(settings.gallery), device=device)
        threshold = judgement.threshold
        print_judgements({"trained": judgement})
    else:
        stderr.print("no query and gallery in the settings: the recommended threshold is a guess, 0.5", highlight=False)
    path = out / "weights.safetensors"
    save_weights(
        path,
        network,
        backbone=settings.backbone,
        pooling=settings.pooling,
        preprocessing=Preprocessing(size),
        threshold=round(threshold, 3),
        about={"trained": f"{settings.epochs} epochs of {config.name}"},
    )
    stderr.print(f"{path}: use it with  reacquire track VIDEO --reid {path}", highlight=False)


@app.command("eval")
def evaluate(
    query: Query,
    gallery: Gallery,
    weights: Annotated[
        str, typer.Option("--weights", "-w", metavar="WEIGHTS", help="Bundled name or file.")
    ] = "default",
    data_format: Format = "market1501",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Judge weights on a data set: ranks, mAP, mINP, and which threshold to use."""
    judgement = _judge(weights, query, gallery, data_format, device)
    if as_json:
        print_json(judgement.summary())
    else:
        print_judgements({weights: judgement})


@app.command("compare")
def compare(
    weights: Annotated[list[str], typer.Argument(metavar="WEIGHTS…", help="Bundled names or files.")],
    query: Query,
    gallery: Gallery,
    data_format: Format = "market1501",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Several weights on the same data, in one table."""
    judgements = {name: _judge(name, query, gallery, data_format, device) for name in weights}
    if as_json:
        print_json({name: judgement.summary() for name, judgement in judgements.items()})
    else:
        print_judgements(judgements)


def _judge(weights: str, query: Path, gallery: Path, data_format: str, device: str) -> Judgement:
    from reid.judge import judge
    from reid.runtime import choose_device
    from reid.train import DataSet, read
    from reid.weights_file import read_about, read_network

    about = read_about(_path(weights))
    sets = [read(DataSet(format=data_format, path=str(folder))) for folder in (query, gallery)]
    device = choose_device(device)
    return judge(read_network(about).to(device), about.preprocessing.size, *sets, device=device)


def print_judgements(judgements: dict[str, Judgement]) -> None:
    """A row for each."""
    table = Table(box=None, padding=(0, 1))
    headings = ("rank-1", "rank-5", "rank-10", "mAP", "mINP", "FNMR@1e-2", "threshold", "FNMR@1e-3", "threshold", "ms")
    for heading in ("weights", *headings):
        table.add_column(heading, justify="left" if heading == "weights" else "right")
    for name, j in judgements.items():
        ranks = [f"{j.ranking.cmc[r - 1]:.3f}" for r in (1, 5, 10)]
        points = [f"{v:.3f}" for p in j.points for v in (p.false_non_match_rate, p.threshold)]
        table.add_row(
            name, *ranks, f"{j.ranking.mean_ap:.3f}", f"{j.ranking.mean_inp:.3f}", *points, f"{j.milliseconds:.2f}"
        )
    stdout.print(table, highlight=False)


@app.command("embed")
def embed(
    images: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of crops.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="A .npz of names and vectors.")],
    weights: Annotated[
        str, typer.Option("--weights", "-w", metavar="WEIGHTS", help="Bundled name or file.")
    ] = "default",
    device: Device = "auto",
) -> None:
    """Turn a folder of crops into vectors: arrays `name` (N,) and `vector` (N, D) in one file."""
    import numpy as np

    from reid.data.crops import read_crops
    from reid.data.sets import images_in
    from reid.runtime import choose_device
    from reid.train import embed_crops
    from reid.weights_file import read_about, read_network

    about, device = read_about(_path(weights)), choose_device(device)
    paths = images_in(images)
    crops = read_crops(paths, about.preprocessing.size)
    vectors = embed_crops(read_network(about).to(device), crops, device=device)
    np.savez_compressed(out, name=np.array([str(p.relative_to(images)) for p in paths]), vector=vectors)
    stderr.print(f"{out}: {len(paths)} vectors of {vectors.shape[1]} dimensions", highlight=False)


@app.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The .onnx file.")],
    weights: Annotated[
        str, typer.Option("--weights", "-w", metavar="WEIGHTS", help="Bundled name or file.")
    ] = "default",
) -> None:
    """Write weights as ONNX: inputs `image` (H, W, 3) uint8 BGR and `boxes` (N, 4), output `vectors` (N, D)."""
    from reid.crop_network import write_onnx
    from reid.weights_file import read_about

    about = read_about(_path(weights))
    write_onnx(about, out)
    stderr.print(f"{out}: {about.backbone}, {about.dimension} dimensions", highlight=False)
