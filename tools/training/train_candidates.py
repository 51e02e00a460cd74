"""Train several embedders side by side on one GPU within some minutes, to choose among them.

python -m tools.training.train_candidates --out runs/candidates --minutes 8      # configs/reid/candidates.yaml
python -m tools.training.train_candidates --out /tmp/try --minutes 0.2 --identities 64 --device cpu

Every candidate is a process of its own. While they train, `reid-NAME.safetensors` of those to keep (averaged weights,
half precision) and `reid-results.json` (every epoch's figures) are written into --out anew, whole at any moment, so
that whatever ends the work early leaves what was reached. Checkpoints and logs are in --work.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from reid.train import Trainer, TrainSettings
from tracker.processes import killed_with_parent
from tracker.yaml_file import read_yaml

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
RESERVE = 6.0
"""Seconds that writing the last weights and figures may take."""
GRACE = 20.0
"""Seconds beyond the time after which a candidate is stopped."""


def settings_of(name: str, args: argparse.Namespace) -> tuple[TrainSettings, dict[str, Any]]:
    """A candidate's settings, and what the file says of it besides."""
    content = read_yaml(args.config)
    values = content["common"] | content["candidates"][name]
    besides = {key: values.pop(key, default) for key, default in (("keep", False), ("time", (0.0, 1.0)))}
    for role in ("train", "query", "gallery"):
        sets = values[role] if role == "train" else [values[role]]
        placed = [data | {"path": str(DATA / data["path"])} for data in sets]
        if args.identities:
            placed = [data | {"identities": args.identities} for data in placed]
        values[role] = placed if role == "train" else placed[0]
    if args.identities:
        values["p"] = min(values["p"], args.identities // 2)
    return TrainSettings.model_validate(values), besides


def train(name: str, args: argparse.Namespace) -> None:
    """One candidate, to the end of its time."""
    settings, besides = settings_of(name, args)
    begin, end = (args.started + share * 60 * args.minutes for share in besides["time"])
    time.sleep(max(begin - time.time(), 0.0))
    left = max(end - time.time() - RESERVE, 1.0)
    settings = settings.model_copy(update={"minutes": left / 60})
    trainer = Trainer(settings, args.work / name, device=args.device, report=lambda line: print(line, flush=True))
    print(f"{len(trainer.data)} crops, {left:.0f} s, half precision {trainer.learner.half}", flush=True)
    while not trainer.schedule.done:
        trainer.run_epoch()
        if besides["keep"] and (trainer.schedule.done or trainer.epoch % settings.evaluate_every == 0):
            trainer.write_weights(args.out / f"reid-{name}.safetensors", {"recipe": f"{args.config.name}, {name}"})


def figures(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """What a candidate has reached: its settings, every epoch's figures, and what it said besides."""
    settings, _ = settings_of(name, args)
    path = args.work / name / "log.csv"
    rows: list[dict[str, float]] = []
    if path.exists():
        with path.open() as file:
            rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    output = args.work / f"{name}.txt"
    said = output.read_text(errors="replace").splitlines() if output.exists() else []
    return {
        "settings": settings.model_dump(mode="json", exclude_defaults=True),
        "epochs": len(rows),
        "seconds": sum(row.get("seconds", 0.0) for row in rows),
        "rows": rows,
        "said": [line for line in said if not line.startswith("epoch ")][-25:],
    }


def write(results: dict[str, Any], path: Path) -> None:
    """Whole, or not at all."""
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(results, indent=1))
    partial.replace(path)


def train_all(names: list[str], args: argparse.Namespace) -> bool:
    """All candidates at once; whether all came to their end."""
    running = {}
    for name in names:
        command = [
            sys.executable,
            "-m",
            "tools.training.train_candidates",
            str(args.config),
            "--run",
            name,
            "--started",
            str(args.started),
        ]
        for option in ("out", "work", "minutes", "identities", "device"):
            command += [f"--{option}", str(getattr(args, option))]
        with (args.work / f"{name}.txt").open("w") as output:
            running[name] = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"},
                preexec_fn=killed_with_parent(),
            )  # fmt: skip
    end = args.started + 60 * args.minutes + GRACE
    device = torch.cuda.get_device_name() if args.device.startswith("cuda") else platform.processor()
    results: dict[str, Any] = {"device": device, "torch": torch.__version__, "minutes": args.minutes}
    while True:
        over = all(process.poll() is not None for process in running.values())
        late = time.time() > end
        if late:
            for process in running.values():
                process.kill()
                process.wait()
        results["candidates"] = {n: figures(n, args) | {"exit": running[n].poll()} for n in names}
        results |= {"elapsed": time.time() - args.started, "over": over or late}
        write(results, args.out / "reid-results.json")
        if over or late:
            return all(process.wait() == 0 for process in running.values())
        time.sleep(2)


def table(path: Path) -> str:
    """The best and the last figures of every candidate."""
    lines = [f"{'candidate':<20}{'epochs':>8}{'seconds':>9}{'loss':>8}{'rank-1':>8}{'mAP':>8}"]
    for name, candidate in json.loads(path.read_text())["candidates"].items():
        rows = candidate["rows"]
        judged = [row for row in rows if "mAP" in row]
        last = (judged or rows or [{}])[-1]
        cells = "".join(f"{last.get(key, float('nan')):>8.3f}" for key in ("loss", "rank1", "mAP"))
        lines.append(f"{name:<20}{candidate['epochs']:>8}{candidate['seconds']:>9.0f}{cells}  exit {candidate['exit']}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", type=Path, default=Path("configs/reid/candidates.yaml"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="of checkpoints and logs; a folder in --out if not given")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--identities", type=int, default=0, help="of each data set, for a trial; 0 is all")
    parser.add_argument("--only", nargs="*", help="of the candidates")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, default=time.time(), help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work = args.work or args.out / "work"
    args.out.mkdir(parents=True, exist_ok=True)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.run:
        train(args.run, args)
        return
    names = args.only or list(read_yaml(args.config)["candidates"])
    finished = train_all(names, args)
    print(table(args.out / "reid-results.json"))
    sys.exit(0 if finished else 1)


if __name__ == "__main__":
    main()
