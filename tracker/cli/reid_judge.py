"""`reacquire reid eval` and `compare`: how good weights are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tracker.cli.console import print_json, stderr, stdout
from tracker.cli.progress import FrameProgress
from tracker.cli.reid_options import (
    WEIGHTS,
    AsJson,
    Backend,
    BackendName,
    Device,
    Overwrite,
    Size,
    Weights,
    embedder_of,
    writable,
)

if TYPE_CHECKING:
    from reid.evaluate import Ranking
    from reid.judge import Judgement
    from reid.rerank import Settings as RerankSettings

EVAL_EPILOG = """
[bold]Examples[/]

  reacquire reid eval --query val/query --gallery val/gallery

  reacquire reid eval -w mine.safetensors --query crops/q --gallery crops/g --format folders --report mine.html

  reacquire reid eval --query q --gallery g --gallery distractors --rerank --json

Junk rules: images of the query's identity from its own camera do not count, nor does identity -1; identity 0 is a
distractor and stays. Which threshold? The one of the false match rate that you can live with.
"""
COMPARE_EPILOG = """
[bold]Examples[/]

  reacquire reid compare default mine.safetensors --query val/query --gallery val/gallery

  reacquire reid compare default osnet_x0_25.pth other.onnx --size 256x128 --query q --gallery g --report all.html

Weights of others: ONNX with crops (N, 3, H, W) in RGB, normalised as for ImageNet; torchreid's OSNet as .pth, read as
plain data. Time is of a crop, 32 at once, cutting included.
"""

Query = Annotated[Path, typer.Option("--query", metavar="DIR", help="Crops that are looked for.")]
Gallery = Annotated[
    list[Path],
    typer.Option("--gallery", metavar="DIR", help="Crops among which; several are searched as one (more distractors)."),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="market1501, dukemtmc, msmt17, cuhk03, veri776, mot, or folders (identity/crop.jpg).",
    ),
]
Rerank = Annotated[bool, typer.Option("--rerank", help="Rank once more after k-reciprocal re-ranking.")]
RerankBy = Annotated[
    str,
    typer.Option(
        "--rerank-by", metavar="K1,K2,LAMBDA", help="Neighbours, averaged ones, weight of the distance before."
    ),
]
SingleShot = Annotated[
    int,
    typer.Option(
        "--single-shot", metavar="N", min=0, help="One gallery image an identity, drawn N times (CUHK03's protocol)."
    ),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Write one page: curves, ranked lists, a map.")
]


@dataclass(frozen=True, slots=True)
class Request:
    """What both verbs are asked for."""

    query: Path
    gallery: list[Path]
    data_format: str
    rerank: RerankSettings | None
    single_shot: int
    size: str | None
    device: str
    backend: BackendName
    calibration: Path | None = None


def evaluate(
    query: Query,
    gallery: Gallery,
    weights: Weights = "default",
    data_format: Format = "market1501",
    rerank: Rerank = False,
    rerank_by: RerankBy = "20,6,0.3",
    single_shot: SingleShot = 0,
    report: Report = None,
    size: Size = None,
    device: Device = "auto",
    backend: Backend = "auto",
    calibration: Annotated[
        Path | None,
        typer.Option("--calibration", metavar="FILE.json", help="Judge these odds, instead of those of the weights."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Judge weights on a data set: ranks, mAP, mINP, and which threshold to use."""
    settings = _rerank_settings(rerank_by) if rerank else None
    request = Request(query, gallery, data_format, settings, single_shot, size, device, backend, calibration)
    judgements = _judged([weights], request, report, overwrite=overwrite)
    if as_json:
        print_json(judgements[weights].summary())
    else:
        print_judgements(judgements)
        print_thresholds(judgements[weights])
        print_odds(judgements[weights])


def compare(
    weights: Annotated[list[str], typer.Argument(metavar="WEIGHTS…", help=WEIGHTS)],
    query: Query,
    gallery: Gallery,
    data_format: Format = "market1501",
    rerank: Rerank = False,
    rerank_by: RerankBy = "20,6,0.3",
    single_shot: SingleShot = 0,
    report: Report = None,
    size: Size = None,
    device: Device = "auto",
    backend: Backend = "auto",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Several weights on the same data, in one table with size and time."""
    settings = _rerank_settings(rerank_by) if rerank else None
    request = Request(query, gallery, data_format, settings, single_shot, size, device, backend)
    judgements = _judged(weights, request, report, overwrite=overwrite)
    if as_json:
        print_json({name: judgement.summary() for name, judgement in judgements.items()})
    else:
        print_judgements(judgements)


def _rerank_settings(text: str) -> RerankSettings:
    from reid.rerank import Settings

    try:
        k1, k2, weight = text.split(",")
        return Settings(int(k1), int(k2), float(weight))
    except ValueError as error:
        raise typer.BadParameter(f"--rerank-by: expected K1,K2,LAMBDA like 20,6,0.3, got {text!r} ({error})") from error


def _judged(weights: Sequence[str], request: Request, report: Path | None, *, overwrite: bool) -> dict[str, Judgement]:
    """Each of the weights on the data; bad names are refused before anything runs."""
    from reid.calibration import load_calibration
    from reid.data.pair import read_pair
    from reid.judge import judge, milliseconds_per_crop

    if report is not None:
        writable(report, overwrite=overwrite, endings=(".html",))
    query, gallery = read_pair(request.data_format, request.query, request.gallery)
    embedders = {
        name: embedder_of(name, request.device, request.backend, request.size, strict=len(weights) == 1)
        for name in weights
    }
    times = milliseconds_per_crop(list(embedders.values()), query.paths)
    judgements = {}
    for (name, embedder), milliseconds in zip(embedders.items(), times, strict=True):
        with FrameProgress(name, len(query) + len(gallery), unit="crops") as progress:
            judgements[name] = judge(
                embedder,
                query,
                gallery,
                rerank=request.rerank,
                single_shot=request.single_shot,
                milliseconds=milliseconds,
                calibration=load_calibration(request.calibration or name),
                progress=lambda count, shown=progress: shown.advance(count=count),  # type: ignore[misc]
            )
    if report is not None:
        from reid.report import write_report

        write_report(report, judgements, query=request.query, gallery=request.gallery)
        stderr.print(f"{report}: open it in a browser; it shows crops of people, so mind who gets it", highlight=False)
    return judgements


def print_judgements(judgements: dict[str, Judgement]) -> None:
    """A row for each, and one more where it was re-ranked."""
    table = Table(box=None, padding=(0, 1))
    headings = ("rank-1", "rank-5", "rank-10", "mAP", "mINP", "FNMR@1e-2", "threshold", "FNMR@1e-3", "threshold")
    table.add_column("weights")
    for heading in (*headings, "MB", "ms/crop"):
        table.add_column(heading, justify="right")
    for name, j in judgements.items():
        points = [f"{v:.3f}" for p in j.verification.points for v in (p.false_non_match_rate, p.threshold)]
        table.add_row(name, *_cells(j.ranking), *points, f"{j.bytes / 1e6:.1f}", f"{j.milliseconds:.2f}")
        if j.reranked is not None:
            table.add_row("  re-ranked", *_cells(j.reranked))
    stdout.print(table, highlight=False)


def _cells(ranking: Ranking) -> list[str]:
    from reid.judge import scores_of

    return [f"{value:.3f}" for value in scores_of(ranking).values()]


def print_thresholds(judgement: Judgement) -> None:
    """Which threshold to use, in words."""
    queries, pairs = judgement.ranking.queries, int(judgement.verification.same.sum())
    stdout.print(
        f"{queries} queries with a match, {len(judgement.gallery)} gallery images, {pairs} pairs of one identity"
    )
    for line in judgement.verification.in_words():
        stdout.print(line, highlight=False)


def print_odds(judgement: Judgement) -> None:
    """How well the odds of tracklets hold; a sentence where there are none."""
    if not judgement.odds:
        stdout.print(
            "No odds were judged: the weights carry none, or there are too few tracklets; reid calibrate makes them"
        )
        return
    stdout.print("Odds of tracklets (Cllr: log-loss in bits, 0 knows all, 1 nothing):", highlight=False)
    table = Table(box=None, padding=(0, 1))
    for heading in ("", "embeddings a side", "pairs of one", "of two", "ECE", "Cllr", "at best"):
        table.add_column(heading, justify="right" if heading else "left")
    for r in judgement.odds:
        numbers = (f"{r.calibration_error:.3f}", f"{r.cost:.3f}", f"{r.least_cost:.3f}")
        table.add_row(r.regime, str(r.size), f"{r.same:,}", f"{r.different:,}", *numbers)
    stdout.print(table, highlight=False)
