"""The run page: how a training went, in one HTML file that opens anywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from reid.charts import Series, chart
from reid.files import write_text
from reid.train.settings import TrainSettings
from reid.train.validation import BINS, Validation

EASY, SEMI_HARD, HARD = "#7bb274", "#e0a63a", "#c53030"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1000px; padding: 0 1rem;
       background: #f4f4f2; color: #222 }
.charts { display: flex; flex-wrap: wrap; gap: 14px } svg { max-width: 100%; height: auto }
table { border-collapse: collapse } td { padding: 2px 14px 2px 0; vertical-align: top } td:first-child { color: #666 }
details { margin-top: 1.5rem } pre { white-space: pre-wrap; background: #fff; padding: 1rem; border-radius: 6px }
"""


def write_page(path: Path, settings: TrainSettings, rows: Sequence[dict[str, float]], validation: Validation) -> None:
    """Write the page of a training so far; the file is whole or not there.

    Args:
        path: of the file.
        settings: shown as they are.
        rows: figures of every epoch.
        validation: of the last one.
    """
    last = rows[-1]
    facts = {
        "epoch": f"{last['epoch']:.0f} of {settings.epochs}"
        if settings.minutes is None
        else f"{last['epoch']:.0f}, of {settings.minutes:g} minutes",
        "network": f"{settings.backbone}, {settings.dimension} dimensions",
        "learning": f"{settings.mining}, margin {settings.margin}, P×K = {settings.p}×{settings.k}",
        "time": f"{sum(r.get('seconds', 0.0) for r in rows) / 60:.1f} minutes",
    }
    if validation.ranking is not None:
        ranking = validation.ranking
        facts["rank-1, mAP"] = f"{ranking.cmc[0]:.3f}, {ranking.mean_ap:.3f}"
    table = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in facts.items())
    shown = escape(json.dumps(settings.model_dump(), indent=2))
    charts = [_losses(rows), _shares(rows), _distances(validation)]
    charts += [_ranks(validation), _over_time(rows)] if validation.ranking is not None else []
    write_text(
        path,
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Training: {escape(path.parent.name)}</title>'
        f"<style>{STYLE}</style><h1>Training</h1><table>{table}</table>"
        f"<p>Distances are of {escape(validation.of)}. The less the two histograms overlap, the better.</p>"
        f'<div class="charts">{"".join(charts)}</div>'
        f"<details><summary>Settings</summary><pre>{shown}</pre></details>",
    )


def _column(rows: Sequence[dict[str, float]], name: str) -> list[float]:
    return [row.get(name, float("nan")) for row in rows]


def _losses(rows: Sequence[dict[str, float]]) -> str:
    names = ("triplet", "contrastive", "identity", "center")
    epochs = _column(rows, "epoch")
    series = [Series(n, epochs, _column(rows, n)) for n in names if any(n in row for row in rows)]
    return chart("Loss", series, x_label="epoch")


def _shares(rows: Sequence[dict[str, float]]) -> str:
    """Stacked: easy at the bottom, hard on top."""
    epochs = np.array(_column(rows, "epoch"))
    easy, semi, hard = (np.nan_to_num(_column(rows, f"all_{kind}")) for kind in ("easy", "semi_hard", "hard"))
    series = [
        Series("easy", epochs, easy, np.zeros_like(easy), EASY),
        Series("semi-hard", epochs, easy + semi, easy, SEMI_HARD),
        Series("hard", epochs, easy + semi + hard, easy + semi, HARD),
    ]
    return chart("Kinds of all triplets in the batches", series, x_label="epoch", y_range=(0, 1))


def _distances(validation: Validation) -> str:
    middle = (BINS[:-1] + BINS[1:]) / 2
    series = []
    for name, counts, colour in (
        ("same identity", validation.positives, EASY),
        ("different identities", validation.negatives, HARD),
    ):
        density = counts / max(counts.sum(), 1) / (BINS[1] - BINS[0])
        series.append(Series(name, middle, density, np.zeros_like(density), colour))
    return chart("Distances", series, x_label="Euclidean distance of unit vectors", y_label="density of pairs")


def _ranks(validation: Validation) -> str:
    assert validation.ranking is not None
    cmc = validation.ranking.cmc[:20]
    return chart(
        "Cumulative match curve",
        [Series("found within the first ranks", np.arange(1, len(cmc) + 1), cmc)],
        x_label="rank",
        y_range=(min(float(cmc[0]), 0.8) // 0.1 * 0.1, 1),
    )


def _over_time(rows: Sequence[dict[str, float]]) -> str:
    judged = [row for row in rows if "mAP" in row]
    epochs = _column(judged, "epoch")
    series = [Series("rank-1", epochs, _column(judged, "rank1")), Series("mAP", epochs, _column(judged, "mAP"))]
    return chart("Validation", series, x_label="epoch", y_range=(0, 1))
