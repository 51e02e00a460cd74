"""`reacquire reid`: train, judge and use embedding networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracker.cli import reid_judge, reid_ship
from tracker.cli.console import stderr
from tracker.cli.reid_judge import print_judgements
from tracker.cli.reid_options import Device

app = typer.Typer(
    help="Re-identification: train, judge and use networks that turn crops into vectors.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    epilog="Example:  reacquire reid eval --query val/query --gallery val/gallery",
)


@app.command("train")
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file like configs/reid/default.yaml.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Checkpoint, log and weights.")] = Path(
        "runs/reid"
    ),
    device: Device = "auto",
) -> None:
    """Train a network; run it again to go on where it stopped. Writes OUT/weights.safetensors at the end."""
    from reid import load_embedder
    from reid.judge import judge
    from reid.runtime import choose_device
    from reid.train import Trainer, TrainSettings, read
    from reid.weights_file import Preprocessing, save_weights, with_threshold
    from tracker.config import load_settings

    settings = load_settings(TrainSettings, config)
    device = choose_device(device)
    trainer = Trainer(settings, out, device=device, report=lambda line: stderr.print(line, highlight=False))
    network = trainer.run()
    path = out / "weights.safetensors"
    save_weights(
        path,
        network,
        backbone=settings.backbone,
        pooling=settings.pooling,
        preprocessing=Preprocessing(settings.size_at(settings.epochs - 1)),
        threshold=None,
        about={"trained": f"{settings.epochs} epochs of {config.name}"},
    )
    if settings.query is not None and settings.gallery is not None:
        judgement = judge(load_embedder(path, device=device), read(settings.query), read(settings.gallery))
        with_threshold(path, round(judgement.threshold, 3))
        print_judgements({"trained": judgement})
    else:
        stderr.print("no query and gallery in the settings: no threshold was measured", highlight=False)
    stderr.print(f"{path}: use it with  reacquire track VIDEO --reid {path}", highlight=False)


app.command("eval", epilog=reid_judge.EVAL_EPILOG)(reid_judge.evaluate)
app.command("compare", epilog=reid_judge.COMPARE_EPILOG)(reid_judge.compare)
app.command("embed", epilog=reid_ship.EMBED_EPILOG)(reid_ship.embed)
app.command("forget", epilog=reid_ship.FORGET_EPILOG)(reid_ship.forget)
app.command("export", epilog=reid_ship.EXPORT_EPILOG)(reid_ship.export)
