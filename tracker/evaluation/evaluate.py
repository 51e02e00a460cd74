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
from tracker.evaluation.benchmarks import Rules, prepare, rules_of, why_nothing_counts
from tracker.evaluation.mot import read_result, read_truth
from tracker.evaluation.sequence import Boxes, Sequence, match_up
from tracker.evaluation.tables import SUFFIXES, is_table, read_boxes, tables_in
from tracker.formats.kitti import sequence_lengths
from tracker.formats.seqinfo import read_sequence_info

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
        tracker_ids: for each frame ``(T,)``, likewise.
        similarity: for each frame ``(G, T)`` in 0–1.

    Raises:
        DataError: lengths or shapes differ, an id is in a frame twice, a similarity is NaN or outside 0–1.
    """
    return score_sequence(Sequence.from_frames(gt_ids, tracker_ids, similarity))


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A sequence with what does not count left out; the rows of the boxes are those of `sequence`.

    Attributes:
        truth: ``(G,)`` true boxes.
        result: ``(R,)`` the tracker's.
        sequence: their overlaps.
    """

    truth: Boxes
    result: Boxes
    sequence: Sequence


def prepare_files(
    truth: Path, result: Path, rules: Rules, *, length: int | None = None, name: str | None = None
) -> Prepared:
    """Read one sequence's results and its ground truth, of any format, and apply a benchmark's rules.

    Args:
        truth: file of ground truth.
        result: file of results.
        rules: the benchmark's.
        length: frames of the sequence; without it, up to the last frame in either file.
        name: of the sequence, where a file holds several.

    Raises:
        DataError: names file and line.
    """
    if rules.kitti or is_table(truth):
        true = read_boxes(truth, name, rules, truth=True, length=length)
    else:
        true = read_truth(truth, world_coordinates=rules.world_coordinates, length=length, classes=rules.classes)
    _refuse_uncounted(truth, true, rules)
    if rules.kitti or is_table(result):
        found = read_boxes(result, name, rules, truth=False, length=length)
    else:
        found = read_result(result, length=length, truth=true, classes=rules.classes)
    frames = length or max(int(true.frame.max(initial=0)), int(found.frame.max(initial=0)))
    true, found = prepare(true, found, rules, frames)
    return Prepared(true, found, match_up(true, found, frames))


def read_counted_truth(path: Path, rules: Rules, *, length: int | None = None) -> Boxes:
    """A MOTChallenge file of ground truth in which something counts.

    Raises:
        DataError: names file and line; also where no row counts, and whatever a tracker does would be false.
    """
    truth = read_truth(path, world_coordinates=rules.world_coordinates, length=length, classes=rules.classes)
    _refuse_uncounted(path, truth, rules)
    return truth


def _refuse_uncounted(path: Path, truth: Boxes, rules: Rules) -> None:
    reason = None if rules.kitti else why_nothing_counts(truth, rules)  # a sequence of KITTI may lack a class
    if reason is not None:
        raise DataError(f"{path}: no box of this ground truth counts: {reason}; --benchmark none scores every row")


def evaluate_files(
    truth: Path, result: Path, rules: Rules, *, length: int | None = None, name: str | None = None
) -> Scores:
    """Score one sequence's file of results against its ground truth.

    Raises:
        DataError: names file and line.
    """
    return score_sequence(prepare_files(truth, result, rules, length=length, name=name).sequence)


def find_sequences(truth: Path) -> dict[str, tuple[Path, int | None]]:
    """Ground-truth files by sequence, with the sequence's length where it is known.

    The length is that of `seqinfo.ini` (MOTChallenge) or of `evaluate_tracking.seqmap*` (KITTI).

    Args:
        truth: a file of any format, a sequence's folder, or a folder of sequences or of files `NAME.txt`.

    Raises:
        DataError: no ground truth there, says where it was looked for; or a sequence called as the total is.
    """
    if is_table(truth):
        return {name: (truth, table.length or None) for name, table in tables_in(truth).items()}
    if truth.is_file():
        named = truth.parent.parent if truth.parent.name == "gt" else truth.parent
        name = truth.stem if truth.stem != "gt" else named.name
        return {name: (truth, _length(named) or sequence_lengths(truth.parent).get(name))}
    if (truth / "gt" / "gt.txt").is_file():
        return {truth.resolve().name: (truth / "gt" / "gt.txt", _length(truth))}
    found = {p.parent.parent.name: (p, _length(p.parent.parent)) for p in sorted(truth.glob("*/gt/gt.txt"))}
    if not found:
        folder = truth / "label_02" if (truth / "label_02").is_dir() else truth
        lengths = sequence_lengths(folder)
        found = {p.stem: (p, lengths.get(p.stem)) for p in sorted(folder.glob("*.txt"))}
    for suffix in SUFFIXES if not found else ():
        found |= {n: place for p in sorted(truth.glob(f"*{suffix}")) for n, place in find_sequences(p).items()}
    if not found:
        raise DataError(f"{truth}: no ground truth; looked for gt.txt, gt/gt.txt, */gt/gt.txt, *.txt and other formats")
    if COMBINED in found:
        raise DataError(
            f"{truth}: a sequence is called {COMBINED!r}, as the row of all together is: give it another name"
        )
    return found


def _length(sequence: Path) -> int | None:
    return read_sequence_info(sequence).length or None


def find_result(name: str, results: Path, *, only: bool) -> Path:
    """A sequence's file of results.

    Raises:
        DataError: not there; names the file that was expected and the nearest that is.
    """
    if results.is_file():
        if not only and not (is_table(results) and name in tables_in(results)):
            raise DataError(f"{results}: one file, but several sequences of ground truth: give a folder of NAME.txt")
        return results
    named = [results / f"{name}{suffix}" for suffix in (".txt", *SUFFIXES)]
    for path in (*named, results / name / "tracks.txt", results / "tracks.txt"):
        if path.is_file() and (only or path.name != "tracks.txt" or path.parent != results):
            return path
    there = sorted(p.name for p in results.glob("*.*") if p.suffix.lower() in (".txt", *SUFFIXES))
    near = difflib.get_close_matches(f"{name}.txt", there, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(there[:8]) or 'none'}"
    raise DataError(f"{results}: no result for sequence {name}, expected {name}.txt{hint}")


def evaluate(
    truth: Path, results: Path, *, benchmark: str = "none", begin: Callable[[str], object] = str
) -> dict[str, Scores]:
    """Scores of every sequence, and under "combined" of all together.

    Args:
        truth: a `gt.txt`, a sequence's folder, a folder of sequences, or a folder of `NAME.txt`.
        results: a file, or a folder of `NAME.txt`.
        benchmark: whose rules, a key of `benchmarks.RULES`.
        begin: is told the name of each sequence before it is read.

    Raises:
        DataError: something missing or malformed, or no true box that counts; names file and line.
    """
    rules = rules_of(benchmark)
    if not results.exists():
        raise DataError(f"{results}: no such file or folder of results")
    sequences = find_sequences(truth)
    files = {name: find_result(name, results, only=len(sequences) == 1) for name in sequences}
    scores = {}
    for name, (path, length) in sequences.items():
        begin(name)
        scores[name] = evaluate_files(path, files[name], rules, length=length, name=name)
    combined = combine(scores)
    if not combined.count.GT_Dets:  # a sequence of KITTI may lack a class, but not all of them
        raise DataError(f"{truth}: no box of this ground truth counts under the rules of {benchmark}")
    return scores | {COMBINED: combined}
