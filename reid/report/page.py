"""The page: scores, thresholds, curves, ranked lists and maps of one evaluation, or of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from reid.calibration.reliability import Reliability
from reid.charts import Series, chart
from reid.evaluate import Ranking
from reid.files import write_text
from reid.judge import RANKS, Judgement, scores_of
from reid.report.pictures import SHOWN, chosen_queries, ranked_list
from reid.report.scatter import map_of
from reid.report.style import STYLE
from reid.verify import BINS

RIGHT, WRONG = "#2f855a", "#c53030"
COARSE = 40
"""Bins of the fine histogram that make one bar."""
NOTE = (
    "This page holds pictures of people. Treat it like the pictures themselves: keep it no longer than needed, "
    "and do not publish it without their consent or the data set's permission."
)


def write_report(path: Path, judgements: Mapping[str, Judgement], *, query: Path, gallery: Sequence[Path]) -> None:
    """Write the page; it is whole or not there, and needs nothing beside it.

    Args:
        path: of the `.html` file.
        judgements: by the names of their weights.
        query: folder that was judged on, for the heading.
        gallery: folders that it was compared with, for the heading.
    """
    first = next(iter(judgements.values()))
    title = f"Re-identification by {', '.join(Path(name).name for name in judgements)}"
    folders = escape(f"{query} among {', '.join(map(str, gallery))}")
    counts = f"{first.ranking.queries} queries with a match, {len(first.gallery)} gallery images"
    parts = [
        f"<h1>{escape(title)}</h1><p>{folders}: {counts}.</p>",
        f'<p class="note">{NOTE}</p>',
        _scores(judgements),
        _thresholds(judgements),
        f'<h2>Curves</h2><div class="charts">{_curves(judgements)}</div>',
    ]
    for name, judgement in judgements.items():
        details = _lists(judgement) + _map(judgement)
        if len(judgements) > 1:
            details = f"<details><summary>Lists and map of {escape(Path(name).name)}</summary>{details}</details>"
        parts.append(details)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>"
    )
    write_text(path, text)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is text, the others are numbers."""
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _scores(judgements: Mapping[str, Judgement]) -> str:
    heads = ["weights", *(f"rank-{r}" for r in RANKS), "mAP", "mINP", "equal error", "dim", "crop", "MB", "ms/crop"]
    rows = []
    for name, j in judgements.items():
        about = [str(j.about["dimension"]), "×".join(map(str, j.about["size"]))]
        rest = [f"{j.verification.equal_errors[1]:.3f}", *about, f"{j.bytes / 1e6:.1f}", f"{j.milliseconds:.2f}"]
        rows.append([Path(name).name, *_numbers(j.ranking), *rest])
        if j.reranked is not None:
            rows.append([f"{Path(name).name}, re-ranked", *_numbers(j.reranked), *[""] * len(rest)])
    devices = {f"{j.about['backend']} on {j.about['device']}" for j in judgements.values()}
    return (
        f"<h2>Scores</h2>{_table(heads, rows)}<p>Rank-k: a right image is among the first k. mAP: precision averaged "
        "over all right images. mINP: how far down the last right image is. Images of the query's identity from its "
        f"own camera do not count. Time is of a crop, 32 at once, by {escape(', '.join(sorted(devices)))}.</p>"
    )


def _numbers(ranking: Ranking) -> list[str]:
    return [f"{value:.3f}" for value in scores_of(ranking).values()]


def _thresholds(judgements: Mapping[str, Judgement]) -> str:
    rows = [
        [Path(name).name, f"{p.threshold:.3f}", f"{p.false_match_rate:.2%}", f"{p.false_non_match_rate:.1%}"]
        for name, j in judgements.items()
        for p in j.verification.points
    ]
    words = ""
    if len(judgements) == 1:
        lines = next(iter(judgements.values())).verification.in_words()
        words = "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
    heads = ["weights", "cosine distance up to", "different called the same", "same that are missed"]
    return f"<h2>Which threshold?</h2>{_table(heads, rows)}{words}"


def _curves(judgements: Mapping[str, Judgement]) -> str:
    names = {name: Path(name).name for name in judgements}
    found = {names[n]: j.ranking for n, j in judgements.items()}
    found |= {f"{names[n]}, re-ranked": j.reranked for n, j in judgements.items() if j.reranked is not None}
    cmc = [Series(name, np.arange(1, 21), ranking.cmc[:20]) for name, ranking in found.items()]
    lowest = min(float(np.asarray(s.y)[0]) for s in cmc)
    charts = [
        chart("Found within the first ranks (CMC)", cmc, x_label="rank", y_range=(lowest // 0.1 * 0.1, 1)),
        chart(
            "Errors over all thresholds (ROC)",
            [_roc(names[n], j) for n, j in judgements.items()],
            x_label="different pairs called the same, power of ten (FMR)",
            y_label="same pairs missed (FNMR)",
            y_range=(0, 1),
        ),
    ]
    charts += [_reliability(f"Do the odds hold? {names[n]}", j.odds) for n, j in judgements.items() if j.odds]
    charts += [_histogram(f"Distances: {names[n]}", j) for n, j in judgements.items()]
    if len(judgements) == 1:
        charts.append(_precisions(next(iter(judgements.values()))))
    return "".join(f"<div>{c}</div>" for c in charts)


def _roc(name: str, judgement: Judgement) -> Series:
    fmr, fnmr = judgement.verification.curve()
    shown = fmr > 0
    return Series(name, np.log10(fmr[shown]), fnmr[shown])


def _histogram(title: str, judgement: Judgement) -> str:
    """Densities of the distances of both kinds of pairs, and the threshold at a false match rate of 1 %."""
    verification = judgement.verification
    middle = verification.edges[COARSE // 2 :: COARSE][: BINS // COARSE]
    series = []
    for name, counts, colour in (
        ("different identities", verification.different, WRONG),
        ("same identity", verification.same, RIGHT),
    ):
        density = counts.reshape(-1, COARSE).sum(1) / max(counts.sum(), 1) / (2 / (BINS // COARSE))
        series.append(Series(name, middle, density, np.zeros_like(density), colour))
    top = max(float(np.max(np.asarray(s.y))) for s in series)
    series.append(Series("threshold", [judgement.threshold] * 2, [0, top], None, "#6b46c1"))
    return chart(title, series, x_label="cosine distance", y_label="density of pairs")


def _reliability(title: str, odds: Sequence[Reliability]) -> str:
    """What was said of tracklets beside what was true; odds that hold lie on the diagonal."""
    series = [Series("as said", [0, 1], [0, 1], None, "#999")]
    for r in odds:
        there = np.isfinite(r.said)
        series.append(
            Series(f"{r.regime}, {r.size} a side (ECE {r.calibration_error:.3f})", r.said[there], r.found[there])
        )
    return chart(
        title,
        series,
        x_label="probability of one identity, as said",
        y_label="share that was",
        y_range=(0, 1),
        height=270 + 16 * (len(series) // 2),
    )


def _precisions(judgement: Judgement) -> str:
    """How many queries went how well."""
    values = judgement.ranking.average_precision
    counts, edges = np.histogram(values[np.isfinite(values)], np.linspace(0, 1, 21))
    x, y = np.repeat(edges, 2)[1:-1], np.repeat(counts, 2)
    bars = Series("queries", x, y, np.zeros_like(y))
    return chart("Queries by average precision", [bars], x_label="average precision")


def _lists(judgement: Judgement) -> str:
    worst, typical = chosen_queries(judgement.ranking.average_precision)
    text = (
        f"<h2>Ranked lists</h2><p>The query, and the first {SHOWN} images that count, with their cosine distances. "
        "Green with ✓ is right, red with ✗ is wrong.</p>"
    )
    for heading, rows in (("Went worst", worst), ("From bad to good", typical)):
        if len(rows):
            text += f"<h3>{heading}</h3>" + "".join(ranked_list(judgement, int(row)) for row in rows)
    return text


def _map(judgement: Judgement) -> str:
    return (
        "<h2>Map</h2><p>Crops by their vectors (t-SNE): who is near here is near in truth, but how far apart two "
        "groups are means nothing. A colour and a number is an identity, a dot with a rim is a query; hover to read "
        "which crop it is. Islands of one colour are good; a dot among another colour is a mistake to look at.</p>"
        f"{map_of(judgement)}"
    )
