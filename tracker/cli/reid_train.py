"""`reacquire reid train`: one verb of `reacquire reid`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tracker.cli.console import stderr
from tracker.cli.progress import PLAIN_SECONDS
from tracker.cli.reid_options import Device

if TYPE_CHECKING:
    from reid.train import Trainer

EPILOG = (
    "Examples:  reacquire reid train configs/reid/default.yaml --out runs/people  ·  "
    "torchrun --nproc-per-node 2 -m tracker.cli reid train my.yaml"
)


class TrainProgress:
    """The share of a training that is done, and the time left: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._printed = time.monotonic()
        self._first: tuple[float, float] | None = None
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("training", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:.1f} %", markup=False),
            TimeElapsedColumn(),
            TextColumn("left", markup=False),
            TimeRemainingColumn(),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def report(self, line: str) -> None:
        """A line of text, above the bar where there is one."""
        stderr.print(line, highlight=False, markup=False, soft_wrap=True)

    def __call__(self, done: float) -> None:
        """So much is done, 0–1."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, done  # what an earlier run did says nothing about this one's pace
            self._bar.start()
            self._task = self._bar.add_task("training", total=1.0)
        if self._task is not None and not self._bar.disable:
            self._bar.update(self._task, completed=done)
        elif now - self._printed > PLAIN_SECONDS:
            self._printed = now
            started, at = self._first
            left = (1 - done) * (now - started) / max(done - at, 1e-9)
            self.report(f"training: {100 * done:.1f} % done, about {_spoken(left)} left")


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file like configs/reid/default.yaml.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Checkpoint, log, page and weights.")] = Path(
        "runs/reid"
    ),
    device: Device = "auto",
    init: Annotated[
        str | None,
        typer.Option(
            "--init", metavar="FILE|default|pretrained", help="Weights to begin with, instead of the settings' own."
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.1, metavar="M", help="End in this time; the settings' epochs are then shares."),
    ] = None,
) -> None:
    """Train a network with triplets; run it again to go on where it stopped.

    Writes into --out after every epoch last.pt (checkpoint) and log.csv, now and then page.html with the curves, at the
    end weights.safetensors. Several processes (torchrun) train one network together.
    """
    from reid.runtime import choose_device
    from reid.train import Trainer, TrainSettings, distributed
    from tracker.config import load_settings

    settings = load_settings(TrainSettings, config)
    given = {"init": init, "minutes": minutes}
    settings = settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    with distributed.launched(choose_device(device)) as here, TrainProgress() as progress:
        trainer = Trainer(settings, out, device=here, report=progress.report, progress=progress)
        trainer.run()
        if distributed.rank() == 0:
            _finish(trainer, config, progress.report)


def _finish(trainer: Trainer, config: Path, report: Callable[[str], None]) -> None:
    """Write the averaged network's weights, judge them, and note the threshold in them."""
    from reid import load_embedder
    from reid.judge import judge
    from reid.weights_file import with_threshold
    from tracker.cli.reid_judge import print_judgements

    path = trainer.out / "weights.safetensors"
    trainer.write_weights(path, {"recipe": config.name})
    if trainer.validator.sets is not None:
        judgement = judge(load_embedder(path, device=trainer.device), *trainer.validator.sets)
        with_threshold(path, round(judgement.threshold, 3))
        print_judgements({"trained": judgement})
    else:
        report("no query and gallery in the settings: no threshold was measured")
    report(f"{trainer.out / 'page.html'}: how it went")
    report(f"{path}: use it with  reacquire track VIDEO --reid {path}")
