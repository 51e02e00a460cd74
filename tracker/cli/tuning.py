"""What tuning found, as people and programs read it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich import box
from rich.table import Table
from rich.text import Text

from reid.files import replacing, write_json, write_text
from tracker.cli.console import stdout

if TYPE_CHECKING:
    from tracker.benchmark.tune import Found, TuneJob, Tuning

SHOWN = ("HOTA", "AssA", "DetA", "IDF1", "MOTA", "IDSW")


def print_tuning(job: TuneJob, tuning: Tuning, folder: Path) -> None:
    """Tuned-on beside held-out, fold by fold; what decided; where the files are."""
    stdout.print(_folds(job, tuning), highlight=False)
    if tuning.default is not None and tuning.tuned is not None:
        stdout.print(_together(tuning), highlight=False)
        gain, hoped = _gains(tuning)
        stdout.print(
            f"tuned on:  {_percent(hoped, sign=True)}   held out: {_percent(gain, sign=True)}   "
            f"(mean gain over the default settings, in per cent points of {_objective(job)})",
            highlight=False,
        )
        stdout.print(_verdict(tuning), highlight=False)
    whole = tuning.found.get("all")
    if whole is not None and whole.importances:
        parts = ", ".join(f"{name} {value:.2f}" for name, value in whole.importances.items())
        stdout.print(f"what decided: {parts}", highlight=False, soft_wrap=True)
    for name, problem in tuning.problems.items():
        stdout.print(Text(name, "red").append(f": {problem}", "default"), soft_wrap=True)
    if tuning.interrupted:
        stdout.print("stopped; the same command goes on from here", style="yellow")
    stdout.print(f"files in {folder}", highlight=False, soft_wrap=True)


def write_tuning(job: TuneJob, tuning: Tuning, folder: Path) -> dict[str, Any]:
    """best.yaml, trials.csv and tune.json, each whole or not there; what is in the last."""
    found = tuning.found
    names = [d.name for d in job.space]
    header = ["study", "trial", "state", "tuned_on", "held_out", *names]
    with replacing(folder / "trials.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, restval="")
        writer.writeheader()
        for study in found.values():
            writer.writerows(study.trials)
    document: dict[str, Any] = {
        "objective": job.objective,
        "trials": job.trials,
        "folds": {name: {"held_out": out} | _numbers(found.get(name)) for name, out in tuning.held_out.items()},
        "all": _numbers(found.get("all")),
        "held_out": {
            "default": tuning.default.summary() if tuning.default else None,
            "tuned": tuning.tuned.summary() if tuning.tuned else None,
        },
        "problems": tuning.problems,
        "interrupted": tuning.interrupted,
    }
    write_json(folder / "tune.json", document)
    if tuning.recipe is not None:
        _write_recipe(folder / "best.yaml", job, tuning)
    return document


def _write_recipe(path: Path, job: TuneJob, tuning: Tuning) -> None:
    assert tuning.recipe is not None
    lines = [f"# {tuning.recipe.name}, tuned for {_objective(job)} on {', '.join(s.name for s in job.sequences)}."]
    if tuning.default is not None:
        gain, hoped = _gains(tuning)
        lines.append(f"# Gain over the default settings: {_percent(hoped, sign=True)} on what was tuned on,")
        lines.append(f"# {_percent(gain, sign=True)} on held-out sequences, by cross-validation.")
    content = tuning.recipe.model_dump(mode="json", exclude_defaults=True)
    content["name"] = f"{tuning.recipe.name}-tuned"
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    write_text(path, "\n".join([*lines, text]))


def _folds(job: TuneJob, tuning: Tuning) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, title=f"{_objective(job)}, default → tuned")
    for name in ("study", "held out", "tuned on", "on held out", "gain tuned on", "gain held out", "trials"):
        table.add_column(name, justify="left" if name in ("study", "held out") else "right")
    for name in (*tuning.held_out, "all"):
        found = tuning.found.get(name)
        out = ", ".join(tuning.held_out.get(name, ["none: this is the recipe"]))
        if found is None:
            table.add_row(name, out, *["not finished"] * 2)
            continue
        a, b = found.default, found.best
        held = held_gain = ""
        if a.held_out is not None and b.held_out is not None:
            held = f"{_percent(a.held_out)} → {_percent(b.held_out)}"
            held_gain = _percent(b.held_out - a.held_out, sign=True)
        tuned_on = f"{_percent(a.tuned_on)} → {_percent(b.tuned_on)}"
        tuned_gain = _percent(b.tuned_on - a.tuned_on, sign=True)
        table.add_row(name, out, tuned_on, held, tuned_gain, held_gain, str(len(found.trials)))
    return table


def _together(tuning: Tuning) -> Table:
    """Every sequence by the settings that were found without it, all together."""
    assert tuning.default is not None and tuning.tuned is not None  # noqa: PT018
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, title="held-out sequences together")
    table.add_column("settings")
    for name in SHOWN:
        table.add_column(name, justify="right")
    for label, scores in (("default", tuning.default), ("tuned on the others", tuning.tuned)):
        numbers = scores.summary()
        table.add_row(label, *(str(v) if isinstance(v, int) else _percent(v) for v in (numbers[n] for n in SHOWN)))
    return table


def _gains(tuning: Tuning) -> tuple[float, float]:
    """Mean gain of the folds: held out, and tuned on."""
    folds = [tuning.found[name] for name in tuning.held_out]
    held = [(f.best.held_out or 0) - (f.default.held_out or 0) for f in folds]
    return sum(held) / len(held), sum(f.best.tuned_on - f.default.tuned_on for f in folds) / len(folds)


def _verdict(tuning: Tuning) -> str:
    """What the held-out scores allow one to say."""
    gains = [f.best.held_out - f.default.held_out for f in map(tuning.found.__getitem__, tuning.held_out)]  # type: ignore[operator]
    better = sum(gain > 0 for gain in gains)
    counted = f"better on {better} of {len(gains)} held-out folds"
    if better == len(gains):
        return f"The tuned settings were {counted}."
    if 2 * better <= len(gains):
        return f"The tuned settings were {counted}: no reason to leave the default."
    return f"The tuned settings were {counted}: look at where they were not."


def _numbers(found: Found | None) -> dict[str, Any]:
    if found is None:
        return {"finished": False}
    return {
        "finished": True,
        "default": {"tuned_on": found.default.tuned_on, "held_out": found.default.held_out},
        "best": {"tuned_on": found.best.tuned_on, "held_out": found.best.held_out},
        "values": found.values,
        "importances": found.importances,
    }


def _objective(job: TuneJob) -> str:
    if len(job.objective) == 1:
        return next(iter(job.objective))
    return " + ".join(f"{weight:.2g} {name}" for name, weight in job.objective.items())


def _percent(value: float, *, sign: bool = False) -> str:
    return f"{100 * value:+.2f}" if sign else f"{100 * value:.2f}"
