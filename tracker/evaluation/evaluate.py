"""Files and folders in, scores out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Frames
from dataclasses import dataclass, fields
from pathlib import Path

from numpy.typing import ArrayLike

from tracker.errors import DataError
from tracker.evaluation import clear as _clear
from tracker.evaluation import count as _count
from tracker.evaluation import hota as _hota
from tracker.evaluation import identity as _identity
from tracker.evaluation.benchmarks import Rules, prepare, rules_of
from tracker.evaluation.read import SUFFIXES, has_known_suffix, read_gt, read_predictions, tables_in
from tracker.evaluation.sequence import Sequence, compute_similarity
from tracker.formats.kitti import sequence_lengths
from tracker.formats.seqinfo import read_sequence_info
from tracker.formats.table import Table

COMBINED = "combined"


@dataclass(frozen=True, slots=True)
class Scores:
    """All families for a sequence, or for several together."""

    clear: _clear.Clear
    identity: _identity.Identity
    hota: _hota.Hota
    count: _count.Count

    def summary(self) -> dict[str, float | int]:
        """The headline numbers: fractions in 0–1, and counts."""
        c, i, h = self.clear, self.identity, self.hota
        means = {name: float(getattr(h, name).mean()) for name in HEADLINE[:4]}
        fractions = {"MOTA": c.MOTA, "MOTP": c.MOTP, "IDF1": i.IDF1, "IDP": i.IDP, "IDR": i.IDR}
        counts = {name: int(getattr(c, name)) for name in HEADLINE_COUNTS}
        return means | fractions | counts

    def full(self) -> dict[str, float | int]:
        """Every number there is: the headline first, then the rest of each family."""
        hota = {name: float(getattr(self.hota, name).mean()) for name in HOTA_REST}
        hota |= {f"{name}(0)": float(getattr(self.hota, name)[0]) for name in ("HOTA", "LocA")}
        clear = {name: float(getattr(self.clear, name)) for name in CLEAR_REST}
        identity = {name: int(getattr(self.identity, name)) for name in ("IDTP", "IDFP", "IDFN")}
        count = {f.name: int(getattr(self.count, f.name)) for f in fields(_count.Count)}
        return self.summary() | hota | clear | identity | count


HOTA_REST = ("DetRe", "DetPr", "AssRe", "AssPr", "OWTA")
CLEAR_REST = ("MODA", "sMOTA", "MOTAL", "CLR_Re", "CLR_Pr", "CLR_F1", "FAF", "MTR", "PTR", "MLR")


HEADLINE = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", "IDP", "IDR")
HEADLINE_COUNTS = ("TP", "FP", "FN", "IDSW", "Frag", "MT", "PT", "ML")
NAMES = (
    *HEADLINE,
    *HEADLINE_COUNTS,
    *HOTA_REST,
    "HOTA(0)",
    "LocA(0)",
    *CLEAR_REST,
    "IDTP",
    "IDFP",
    "IDFN",
    *(f.name for f in fields(_count.Count)),
)
"""All that `Scores.full` has, in its order."""


def combine(parts: Mapping[str, Scores]) -> Scores:
    """Several sequences as one, as the benchmarks do."""
    return Scores(
        _clear.combine(p.clear for p in parts.values()),
        _identity.combine(p.identity for p in parts.values()),
        _hota.combine(p.hota for p in parts.values()),
        _count.combine(p.count for p in parts.values()),
    )


def score_sequence(sequence: Sequence) -> Scores:
    """All families for a sequence."""
    return Scores(_clear.clear(sequence), _identity.identity(sequence), _hota.hota(sequence), _count.count(sequence))


def score(gt_ids: Frames[ArrayLike], tracker_ids: Frames[ArrayLike], similarity: Frames[ArrayLike]) -> Scores:
    """All families from similarities that you computed, of boxes, masks, points or anything.

    Args:
        gt_ids: for each frame ``(G,)`` whole numbers (or strings), each at most once in a frame.
        tracker_ids: for each frame ``(T,)`` whole numbers (or strings), each at most once in a frame.
        similarity: for each frame ``(G, T)`` in 0–1.

    Raises:
        DataError: lengths or shapes differ, an id is in a frame twice, a similarity is NaN or outside 0–1.
    """
    return score_sequence(Sequence.from_frames(gt_ids, tracker_ids, similarity))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSequence:
    """A sequence with what does not count left out; the rows of the boxes are those of `sequence`.

    Attributes:
        gt: ``(G,)`` true boxes.
        pred: ``(R,)`` the tracker's.
        sequence: their overlaps.
    """

    gt: Table
    pred: Table
    sequence: Sequence


def prepare_files(
    gt: Path, pred: Path, rules: Rules, *, length: int | None = None, name: str | None = None
) -> PreparedSequence:
    """Read one sequence's predictions and its ground truth, of any format, and apply a benchmark's rules.

    Args:
        gt: file of ground truth.
        pred: file of predictions.
        rules: the benchmark's.
        length: frames of the sequence; without it, up to the last frame in either file.
        name: of the sequence, where a file holds several.

    Raises:
        DataError: names file and line.
    """
    true = read_gt(gt, rules, name=name, length=length)
    found = read_predictions(pred, rules, name=name, length=length, gt=true)
    frames = length or max(_last_frame(true), _last_frame(found))
    true, found = prepare(true, found, rules, frames)
    return PreparedSequence(true, found, compute_similarity(true, found, frames))


def _last_frame(table: Table) -> int:
    """Frames up to the last box."""
    return int(table.frame.max(initial=-1)) + 1


def evaluate_files(gt: Path, pred: Path, rules: Rules, *, length: int | None = None, name: str | None = None) -> Scores:
    """Score one sequence's file of predictions against its ground truth.

    Raises:
        DataError: names file and line.
    """
    return score_sequence(prepare_files(gt, pred, rules, length=length, name=name).sequence)


def find_sequences(gt: Path) -> dict[str, tuple[Path, int | None]]:
    """Ground-truth files by sequence, with the sequence's length where it is known.

    The length is that of `seqinfo.ini` (MOTChallenge) or of `evaluate_tracking.seqmap*` (KITTI).

    Args:
        gt: a file of any format, a sequence's folder, or a folder of sequences or of files `NAME.txt`.

    Raises:
        DataError: no ground truth there, says where it was looked for; or a sequence called as the total is.
    """
    if has_known_suffix(gt):
        return {name: (gt, table.length or None) for name, table in tables_in(gt).items()}
    if gt.is_file():
        named = gt.parent.parent if gt.parent.name == "gt" else gt.parent
        name = gt.stem if gt.stem != "gt" else named.name
        return {name: (gt, _length(named) or sequence_lengths(gt.parent).get(name))}
    if (gt / "gt" / "gt.txt").is_file():
        return {gt.resolve().name: (gt / "gt" / "gt.txt", _length(gt))}
    found = {p.parent.parent.name: (p, _length(p.parent.parent)) for p in sorted(gt.glob("*/gt/gt.txt"))}
    if not found:
        folder = gt / "label_02" if (gt / "label_02").is_dir() else gt
        lengths = sequence_lengths(folder)
        found = {p.stem: (p, lengths.get(p.stem)) for p in sorted(folder.glob("*.txt"))}
    for suffix in SUFFIXES if not found else ():
        found |= {n: place for p in sorted(gt.glob(f"*{suffix}")) for n, place in find_sequences(p).items()}
    if not found:
        raise DataError(f"{gt}: no ground truth; looked for gt.txt, gt/gt.txt, */gt/gt.txt, *.txt and other formats")
    if COMBINED in found:
        raise DataError(f"{gt}: a sequence is called {COMBINED!r}, as the row of all together is: give it another name")
    return found


def _length(sequence: Path) -> int | None:
    return read_sequence_info(sequence).length or None


def find_prediction(name: str, preds: Path, *, only: bool) -> Path:
    """A sequence's file of predictions.

    Raises:
        DataError: not there; names the file that was expected and the nearest that is.
    """
    if preds.is_file():
        if not only and not (has_known_suffix(preds) and name in tables_in(preds)):
            raise DataError(f"{preds}: one file, but several sequences of ground truth: give a folder of NAME.txt")
        return preds
    named = [preds / f"{name}{suffix}" for suffix in (".txt", *SUFFIXES)]
    for path in (*named, preds / name / "tracks.txt", preds / "tracks.txt"):
        if path.is_file() and (only or path.name != "tracks.txt" or path.parent != preds):
            return path
    there = sorted(p.name for p in preds.glob("*.*") if p.suffix.lower() in (".txt", *SUFFIXES))
    near = difflib.get_close_matches(f"{name}.txt", there, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(there[:8]) or 'none'}"
    raise DataError(f"{preds}: no predictions for sequence {name}, expected {name}.txt{hint}")


def evaluate(
    gt: Path, preds: Path, *, benchmark: str = "none", begin: Callable[[str], object] = str
) -> dict[str, Scores]:
    """Scores of every sequence, and under "combined" of all together.

    Args:
        gt: a `gt.txt`, a sequence's folder, a folder of sequences, or a folder of `NAME.txt`.
        preds: a file, or a folder of `NAME.txt`.
        benchmark: whose rules, a key of `benchmarks.RULES`.
        begin: is told the name of each sequence before it is read.

    Raises:
        DataError: something missing or malformed, or no true box that counts; names file and line.
    """
    rules = rules_of(benchmark)
    if not preds.exists():
        raise DataError(f"{preds}: no such file or folder of predictions")
    sequences = find_sequences(gt)
    files = {name: find_prediction(name, preds, only=len(sequences) == 1) for name in sequences}
    scores = {}
    for name, (path, length) in sequences.items():
        begin(name)
        scores[name] = evaluate_files(path, files[name], rules, length=length, name=name)
    combined = combine(scores)
    if not combined.count.GT_Dets:  # a sequence of KITTI may lack a class, but not all of them
        raise DataError(f"{gt}: no box of this ground truth counts under the rules of {benchmark}")
    return scores | {COMBINED: combined}
