"""`reacquire eval`: official scores of a tracker's results, or of two trackers side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.status import Status

from reid.files import write_text
from tracker.cli.console import print_json, stderr, stdout
from tracker.cli.eval_pictures import refuse_pictures, save_report, save_video
from tracker.cli.scores import (
    COLUMNS,
    COMBINED,
    document,
    interval_numbers,
    print_differences,
    print_table,
    write_csv,
)

if TYPE_CHECKING:
    from tracker.evaluation.evaluate import Scores

EPILOG = """
[bold]Examples[/]

  reacquire eval --gt MOT17/train --pred results/ --benchmark mot17

  reacquire eval --gt TUD-Campus/gt/gt.txt --pred tracks.txt --benchmark mot15 --json scores.json

  reacquire eval --gt MOT17/train --pred old/ --pred new/ -b mot17     [dim]# the difference: is it noise?[/]

  reacquire eval --gt MOT20/train --pred results/ -b mot20 --full --csv scores.csv

  reacquire eval --gt KITTI/training --pred results/ -b kitti          [dim]# cars, then pedestrians[/]

  reacquire eval --gt MOT17/train --pred results/ -b mot17 --report errors.html      [dim]# why ids switched[/]

  reacquire eval --gt TUD-Campus --pred tracks.txt -b mot15 --video errors.mp4

  reacquire eval --gt ground-truth.json --pred tracks.parquet          [dim]# any format that convert reads[/]
"""


def evaluate(
    gt: Annotated[
        Path,
        typer.Option(
            "--gt",
            metavar="PATH",
            help="gt.txt, a sequence's folder, a folder of them or of NAME.txt, or a file of any format of convert.",
        ),
    ],
    pred: Annotated[
        list[Path],
        typer.Option(
            "--pred",
            metavar="PATH",
            help="A result, as text or table, or a folder of NAME.txt. Twice: compare two.",
        ),
    ],
    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark",
            "-b",
            metavar="NAME",
            help="mot15, mot16, mot17, mot20, dancetrack, sportsmot, kitti or none.",
        ),
    ] = "none",
    full: Annotated[bool, typer.Option("--full", help="Every metric, also in JSON and CSV.")] = False,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B,…", help="Just these metrics, in this order.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the scores as JSON; - for stdout.")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the scores as CSV.")] = None,
    bootstrap: Annotated[
        int | None,
        typer.Option(
            "--bootstrap",
            metavar="N",
            min=100,
            max=100_000,
            help="Resample the sequences N times for 95 % intervals (with two --pred: 1000).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the resampling.")] = 0,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Write one page: scores, curves, every error of identity."),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option("--video", metavar="FILE.mp4", help="Write one sequence with correct, missed, false, switched."),
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option(
            "--frames",
            metavar="PATH",
            help="Pictures for both: a folder or a video; else img1/ beside gt/.",
        ),
    ] = None,
    crosscheck: Annotated[
        bool, typer.Option("--crosscheck", help="Let motmetrics compute CLEAR and Identity too; tell any difference.")
    ] = False,
) -> None:
    """Score results by the official rules: HOTA, CLEAR and Identity, each sequence and all together."""
    from tracker.evaluation.benchmarks import SEVERAL

    if len(pred) > 2:
        raise typer.BadParameter("at most two can be compared", param_hint="--pred")
    refuse_pictures(pred, benchmark, report=report, video=video, frames=frames)
    wanted = _columns(columns, full)
    documents: dict[str, Any] = {}
    rows: dict[str, dict[str, Scores]] = {}
    for name in SEVERAL.get(benchmark, (benchmark,)):
        trackers = _scored(gt, pred, name, crosscheck)
        quiet = json_file == Path("-")
        if name != benchmark and not quiet:
            stdout.rule(name, align="left")
        documents[name] = _report(trackers, wanted, full=full, draws=bootstrap, seed=seed, quiet=quiet)
        rows |= {f"{t} {name}" if name != benchmark else t: scores for t, scores in trackers.items()}
    whole = documents.get(benchmark, {"benchmarks": documents})
    if json_file == Path("-"):
        print_json(whole)
    elif json_file is not None:
        write_text(json_file, json.dumps(whole, indent=2) + "\n")
    if csv_file is not None:
        write_csv(csv_file, rows, wanted)
    if report is not None:
        for name in SEVERAL.get(benchmark, (benchmark,)):
            file = report if name == benchmark else report.with_stem(f"{report.stem}.{name}")
            save_report(file, gt, pred, name, frames)
    if video is not None:
        save_video(video, gt, pred[0], benchmark, frames)


def _columns(text: str | None, full: bool) -> list[str]:
    """The metrics that are asked for."""
    from tracker.evaluation.evaluate import NAMES

    if text is None:
        return list(NAMES if full else COLUMNS)
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    by_lower = {name.lower(): name for name in NAMES}
    unknown = [name for name in wanted if name.lower() not in by_lower]
    if unknown or not wanted:
        raise typer.BadParameter(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}", param_hint="--columns")
    return [by_lower[name.lower()] for name in wanted]


def _scored(gt: Path, pred: list[Path], benchmark: str, crosscheck: bool) -> dict[str, dict[str, Scores]]:
    """Scores of every tracker by its path."""
    from tracker.evaluation.evaluate import evaluate as score

    trackers = {}
    for path in pred:
        with stderr.status("scoring") as status:
            scores = score(gt, path, benchmark=benchmark, begin=_telling(status))
        trackers[str(path)] = scores
        _tell_of_nothing(path, scores)
        if crosscheck:
            from tracker.evaluation.crosscheck import disagreements

            found = disagreements(gt, path, scores, benchmark=benchmark)
            for line in found or ["motmetrics agrees on CLEAR and Identity"]:
                stderr.print(line, highlight=False)
    return trackers


def _tell_of_nothing(path: Path, scores: dict[str, Scores]) -> None:
    """Say where a score of 0 is none: there were no predictions, so there was nothing to compare."""
    for name, score in scores.items():
        if name != COMBINED and not score.count.Dets:
            line = f"{path}: no predictions for {name}: there was nothing to compare, and its scores say 0"
            stderr.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)


def _telling(status: Status) -> Callable[[str], None]:
    """Shows which sequence is being scored."""

    def begin(name: str) -> None:
        status.update(f"scoring {escape(name)}")

    return begin


def _report(
    trackers: dict[str, dict[str, Scores]],
    columns: list[str],
    *,
    full: bool,
    draws: int | None,
    seed: int,
    quiet: bool,
) -> dict[str, Any]:
    """Print what is asked for; the same for JSON."""
    from tracker.evaluation import bootstrap

    sequences = len(next(iter(trackers.values()))) - 1
    caution = bootstrap.caution(sequences)
    if len(trackers) == 1:
        ((_, scores),) = trackers.items()
        whole = document(scores, full=full)
        intervals = bootstrap.intervals(scores, draws=draws, seed=seed) if draws else None
        if not quiet:
            print_table(scores, columns, intervals=intervals)
        if intervals:
            whole["intervals"] = interval_numbers(intervals)
    else:
        (name_a, a), (name_b, b) = trackers.items()
        draws = draws or bootstrap.DRAWS
        difference = bootstrap.differences(a, b, draws=draws, seed=seed)
        if not quiet:
            for letter, (name, scores) in zip("AB", trackers.items(), strict=True):
                print_table(scores, columns, title=f"{letter}  {name}")
            print_differences((a[COMBINED], b[COMBINED]), difference, sequences, columns)
        whole = {
            "predictions": {
                "A": {"pred": name_a, **document(a, full=full)},
                "B": {"pred": name_b, **document(b, full=full)},
            },
            "difference": interval_numbers(difference),
        }
        intervals = difference
    if intervals:
        whole["bootstrap"] = {"sequences": sequences, "draws": draws, "level": bootstrap.LEVEL, "seed": seed}
        if caution:
            whole["bootstrap"]["caution"] = caution
            stderr.print(caution, highlight=False, style="yellow")
    return whole
