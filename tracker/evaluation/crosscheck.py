"""An independent opinion: the same sequences scored by `motmetrics`.

The two follow different conventions in places, and then differ by a few counts: motmetrics calls an identity mostly
tracked from 80 % on (the official evaluator: above 80 %), and continues a match over frames without predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import motmetrics
import numpy as np

from tracker.evaluation.benchmarks import rules_of
from tracker.evaluation.evaluate import COMBINED, Scores, find_prediction, find_sequences, prepare_files
from tracker.evaluation.sequence import Sequence

NAMES = {
    "mota": "MOTA",
    "idf1": "IDF1",
    "idp": "IDP",
    "idr": "IDR",
    "num_detections": "TP",
    "num_false_positives": "FP",
    "num_misses": "FN",
    "num_switches": "IDSW",
    "num_fragmentations": "Frag",
    "mostly_tracked": "MT",
    "partially_tracked": "PT",
    "mostly_lost": "ML",
}
TOLERANCE = 1e-9


def opinion(sequence: Sequence) -> dict[str, float]:
    """CLEAR and Identity of a sequence by motmetrics.

    Its accumulator is fed our overlaps: its own distance functions call what numpy 2 removed.
    """
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in sequence.frames:
        distance = np.where(frame.similarity >= 0.5, 1 - frame.similarity, np.nan)
        accumulator.update(frame.gt, frame.pred, distance)
    metrics = [*NAMES, "num_matches"]
    row = motmetrics.metrics.create().compute(accumulator, metrics=metrics).iloc[0]
    return {ours: float(row[theirs]) for theirs, ours in NAMES.items()}


def disagreements(gt: Path, preds: Path, scores: Mapping[str, Scores], *, benchmark: str) -> list[str]:
    """Where motmetrics comes to another number, one line each."""
    lines = []
    rules = rules_of(benchmark)
    for name, (path, length) in find_sequences(gt).items():
        pred = find_prediction(name, preds, only=len(scores) == 2)
        theirs = opinion(prepare_files(path, pred, rules, length=length, name=name).sequence)
        ours = scores[name].summary()
        lines += [
            f"{name} {metric}: ours {ours[metric]}, motmetrics {value}"
            for metric, value in theirs.items()
            if abs(ours[metric] - value) > TOLERANCE
        ]
    assert COMBINED in scores
    return lines
