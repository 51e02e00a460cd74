"""The main run and a series of small ones: one by one, or side by side on one GPU within some minutes."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from tools.training.person import judge
from tools.training.person.gallery import load_cutouts, load_pictures
from tools.training.person.loop import MAIN, SMALL, Length, Recipe, Run, shrunk
from tools.training.person.network import HALF_WIDTH
from tools.training.person.pack import Picture, read
from tools.training.person.sampling import Augmentation, Sampler, weights

BASELINE = Augmentation(paste=False, photometric=False, pseudo=False)
SERIES = {
    "small-baseline": replace(SMALL, augmentation=BASELINE),
    "small-pseudo": replace(SMALL, augmentation=replace(BASELINE, pseudo=True)),
    "small-paste": replace(SMALL, augmentation=replace(BASELINE, pseudo=True, paste=True)),
    "small-photometric": SMALL,
    "small-yolo26n": replace(SMALL, architecture="yolo26n"),
    "small-half": replace(SMALL, architecture=HALF_WIDTH),
}
"""From random weights, one thing added at a time; then other networks with everything on."""
CARRIED = ("small-photometric", "small-yolo26n", "small-half")
"""Small runs whose weights are kept."""
STARTING = 12.0
"""Seconds that a process takes before it begins: imports, the device's context."""
JUDGED_AT = (416, 512, 640)
LOSSES = {"box": "loss: overlap of boxes", "cls": "loss: person or not", "dfl": "loss: sides of boxes"}


class Stop:
    """Whether this process has been asked to end."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


class Bench:
    """The data on the device, and what runs need of it."""

    def __init__(self, pack: Path, folder: Path, device: str, seed: int, tiny: bool) -> None:
        started = time.monotonic()
        self.device, self.folder, self.seed, self.tiny, self.stop = torch.device(device), folder, seed, tiny, Stop()
        torch.set_float32_matmul_precision("high")
        self.pictures, cutouts = read(pack)
        if tiny:
            self.pictures, cutouts = self.pictures[::16], cutouts[::16]
        self.training = [p for p in self.pictures if not p.validation]
        self._stored = load_pictures(self.training, self.device), load_cutouts(cutouts, self.device)
        folder.mkdir(parents=True, exist_ok=True)
        self.loading = time.monotonic() - started

    def run(self, name: str, recipe: Recipe) -> Run:
        """A run of the recipe; of a small one where everything is only tried."""
        if self.tiny:
            recipe = shrunk(recipe, 160, 8)
        people = [len(p.boxes) for p in self.training]
        drawn = weights(self.training, recipe.augmentation.pseudo)
        sampler = Sampler(*self._stored, drawn, np.array(people), recipe.augmentation, self.seed)
        return Run(name, recipe, sampler, self.folder, self.seed, stopped=self.stop)

    def judge(self, run: Run, sides: Sequence[int]) -> dict[str, Any]:
        """Average precision of a run's weights and how long it was, kept in its file of results."""
        held: list[Picture] = [p for p in self.pictures if p.validation]
        result: dict[str, Any] = {
            "architecture": run.recipe.architecture,
            "steps": run.step,
            "images": run.step * run.recipe.batch,
            "seconds": round(run.elapsed, 1),
            "whole": run.progress >= 1,
            "parameters": sum(p.numel() for p in run.model.parameters()),
            "validation": judge.judge(run.average.model, held, sides, self.device),
        }
        self.keep(run.name, result)
        return result

    def keep(self, name: str, result: dict[str, Any]) -> None:
        _replace(self.folder / f"{name}.json", json.dumps(result, indent=2).encode())


def train_main(bench: Bench, length: Length) -> None:
    """The run that is shipped, judged at several sizes, and its speed on this device."""
    run = bench.run("main", MAIN)
    run.train(length)
    result = bench.judge(run, JUDGED_AT if not bench.tiny else (160,))
    for side in (416, 640) if bench.device.type == "cuda" else ():
        result[f"images_per_second_at_{side}"] = judge.speed(run.average.model, side, bench.device, 0.5)
        bench.keep("main", result)
    print(json.dumps(result), flush=True)


def train_series(bench: Bench, seconds: float, most: int) -> None:
    """Small runs of equally many steps, as many as fit into the seconds but at most ``most`` each."""
    started = time.monotonic()
    trial = bench.run("trial", SERIES["small-yolo26n"])
    for step in range(25 if not bench.tiny else 3):
        if step == (10 if not bench.tiny else 1):
            judge.wait(bench.device)
            marked = step, time.monotonic()
        trial.train_step()
    judge.wait(bench.device)
    pace = (time.monotonic() - marked[1]) / (trial.step - marked[0])
    spare = 4.0 * len(SERIES)  # for judging
    steps = min(most, int(0.85 * (seconds - spare - (time.monotonic() - started)) / len(SERIES) / pace))
    print(f"small runs: {steps} steps each, {pace * 1000:.0f} ms a step of yolo26n", flush=True)
    for name, recipe in SERIES.items():
        left = seconds - (time.monotonic() - started)
        if bench.stop() or left < 5:
            break
        run = bench.run(name, recipe)
        run.save_every = 30.0
        run.train(Length(max(steps, 2), left))
        print(name, json.dumps(bench.judge(run, run.recipe.sides)), flush=True)


def together(command: Sequence[str], out: Path, work: Path, seconds: float) -> int:
    """Both as processes of their own; ``out`` is kept up to date all the while.

    Args:
        command: that starts one of them, but for its verb and length.
        out: flat folder of results.
        work: folder for everything else.
        seconds: until both have ended.
    """
    started, stop = time.monotonic(), Stop()
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    running = {}
    for verb in ("main", "series"):
        log = (work / f"{verb}.txt").open("w")
        line = [*command, verb, "--out", str(work), "--seconds", str(seconds - STARTING)]
        running[verb] = subprocess.Popen(line, stdout=log, stderr=subprocess.STDOUT)
    while any(p.poll() is None for p in running.values()):
        if stop() or time.monotonic() - started > seconds + 20:
            for process in running.values():
                process.terminate()
        time.sleep(2)
        gather(work, out)
    gather(work, out)
    draw(out / "det-log.csv", out / "det-curves.png")
    for verb, process in running.items():
        print(f"== {verb}, exit status {process.returncode}")
        print((work / f"{verb}.txt").read_text()[-3000:])
    return max((abs(int(p.returncode or 0)) for p in running.values()), default=0)


def gather(work: Path, out: Path) -> None:
    """What there is so far, in few files: the main weights, the small ones, results, log."""
    if (work / "main.safetensors").exists():
        _replace(out / "det-main.safetensors", (work / "main.safetensors").read_bytes())
    done = {path.stem: json.loads(path.read_text()) for path in sorted(work.glob("*.json"))}
    _replace(out / "det-results.json", json.dumps(done, indent=2).encode())
    rows = [row for path in sorted(work.glob("*.csv")) for row in path.read_text().splitlines(keepends=True)]
    _replace(out / "det-log.csv", "".join([*rows[:1], *(r for r in rows if not r.startswith("run,"))]).encode())
    small = [work / f"{name}.safetensors" for name in CARRIED if name in done]
    if small:
        tensors = {
            f"{path.stem}.{key}": value for path in small for key, value in safetensors.torch.load_file(path).items()
        }
        _replace(out / "det-small.safetensors", safetensors.torch.save(tensors))


def draw(log: Path, out: Path) -> None:
    """The losses of all runs of a log."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with log.open() as file:
        rows = list(csv.DictReader(file))
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    for axis, (name, title) in zip(axes, LOSSES.items(), strict=True):
        for run in dict.fromkeys(row["run"] for row in rows):
            mine = [row for row in rows if row["run"] == run]
            axis.plot([int(r["step"]) for r in mine], [float(r[name]) for r in mine], label=run)
        axis.set(title=title, xlabel="step", ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(out, dpi=80)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def command_of(pack: Path, device: str, seed: int, tiny: bool) -> list[str]:
    """How :func:`together` starts its processes."""
    flags = ["--tiny"] if tiny else []
    return [
        sys.executable,
        "-m",
        "tools.training.train_person_detector",
        "--pack",
        str(pack),
        "--device",
        device,
        "--seed",
        str(seed),
        *flags,
    ]
