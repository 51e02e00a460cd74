"""`reacquire eval`: official scores of a tracker's results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tracker.cli.console import print_json, stderr, stdout

if TYPE_CHECKING:
    from tracker.evaluation.evaluate import Scores

COLUMNS = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "MOTP", "FP", "FN", "IDSW", "Frag", "MT", "ML")

EPILOG = """
[bold]Examples[/]

  reacquire eval --gt MOT17/train --pred results/ --benchmark mot17

  reacquire eval --gt TUD-Campus/gt/gt.txt --pred tracks.txt --benchmark mot15 --json scores.json
"""


def evaluate(
    gt: Annotated[Path, typer.Option("--gt", metavar="PATH", help="gt.txt, a sequence's folder, or a folder of them.")],
    pred: Annotated[Path, typer.Option("--pred", metavar="PATH", help="A result file, or a folder of NAME.txt.")],
    benchmark: Annotated[
        str, typer.Option("--benchmark", "-b", metavar="NAME", help="mot15, mot16, mot17, mot20, dancetrack or none.")
    ] = "none",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the scores as JSON; - for stdout.")
    ] = None,
    referee: Annotated[
        bool, typer.Option("--referee", help="Let motmetrics compute CLEAR and Identity too; tell any difference.")
    ] = False,
) -> None:
    """Score results by the official rules: HOTA, CLEAR and Identity, each sequence and all together."""
    import json

    from tracker.evaluation.evaluate import COMBINED
    from tracker.evaluation.evaluate import evaluate as score

    scores = score(gt, pred, benchmark=benchmark)
    document = {
        "sequences": {name: s.summary() for name, s in scores.items() if name != COMBINED},
        "combined": scores[COMBINED].summary(),
    }
    if json_file == Path("-"):
        print_json(document)
    else:
        print_table(scores)
        if json_file is not None:
            json_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if referee:
        from tracker.evaluation.referee import disagreements

        found = disagreements(gt, pred, scores, benchmark=benchmark)
        for line in found or ["motmetrics agrees on CLEAR and Identity"]:
            stderr.print(line, highlight=False)


def print_table(scores: dict[str, Scores]) -> None:
    """A row a sequence, and one for all."""
    table = Table(box=None, padding=(0, 1))
    table.add_column("sequence")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for name, score in scores.items():
        summary = score.summary()
        cells = [f"{100 * v:.2f}" if isinstance(v, float) else str(v) for v in (summary[c] for c in COLUMNS)]
        table.add_row(name, *cells, style="bold" if name == "combined" else None)
    stdout.print(table, highlight=False)
