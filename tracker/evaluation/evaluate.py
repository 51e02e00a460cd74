"""Files and folders in, scores out."""

from __future__ import annotations

import configparser
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import DataError
from tracker.evaluation import clear as _clear
from tracker.evaluation import hota as _hota
from tracker.evaluation import identity as _identity
from tracker.evaluation.benchmarks import RULES, Rules, prepare
from tracker.evaluation.mot import read_result, read_truth
from tracker.evaluation.sequence import match_up

COMBINED = "combined"


@dataclass(frozen=True, slots=True)
class Scores:
    """All three families for a sequence, or for several together."""

    clear: _clear.Clear
    identity: _identity.Identity
    hota: _hota.Hota

    def summary(self) -> dict[str, float | int]:
        """The headline numbers: fractions in 0–1, and counts."""
        c, i, h = self.clear, self.identity, self.hota
        means = {name: float(getattr(h, name).mean()) for name in ("HOTA", "DetA", "AssA", "LocA")}
        fractions = {"MOTA": c.MOTA, "MOTP": c.MOTP, "IDF1": i.IDF1, "IDP": i.IDP, "IDR": i.IDR}
        counts = {name: int(getattr(c, name)) for name in ("TP", "FP", "FN", "IDSW", "Frag", "MT", "PT", "ML")}
        return means | fractions | counts


def combine(parts: Mapping[str, Scores]) -> Scores:
    """Several sequences as one, as the benchmarks do."""
    return Scores(
        _clear.combine(p.clear for p in parts.values()),
        _identity.combine(p.identity for p in parts.values()),
        _hota.combine(p.hota for p in parts.values()),
    )


def evaluate_files(truth: Path, result: Path, rules: Rules, *, length: int | None = None) -> Scores:
    """Score one sequence's file of results against its ground truth.

    Raises:
        DataError: names file and row.
    """
    true = read_truth(truth, world_coordinates=rules.world_coordinates, length=length)
    found = read_result(result, length=length, truth=true)
    frames = length or max(int(true.frame.max(initial=0)), int(found.frame.max(initial=0)))
    sequence = match_up(*prepare(true, found, rules, frames), frames)
    return Scores(_clear.clear(sequence), _identity.identity(sequence), _hota.hota(sequence))


def find_sequences(truth: Path) -> dict[str, tuple[Path, int | None]]:
    """Ground-truth files by sequence, with the sequence's length where `seqinfo.ini` says it.

    Args:
        truth: a `gt.txt`, a sequence's folder, or a folder of sequences.

    Raises:
        DataError: no ground truth there; says where it was looked for.
    """
    if truth.is_file():
        named = truth.parent.parent if truth.parent.name == "gt" else truth.parent
        name = truth.stem if truth.stem != "gt" else named.name
        return {name: (truth, _length(named))}
    if (truth / "gt" / "gt.txt").is_file():
        return {truth.resolve().name: (truth / "gt" / "gt.txt", _length(truth))}
    found = {p.parent.parent.name: (p, _length(p.parent.parent)) for p in sorted(truth.glob("*/gt/gt.txt"))}
    if not found:
        raise DataError(f"{truth}: no ground truth; looked for gt.txt, gt/gt.txt and */gt/gt.txt")
    return found


def _length(sequence: Path) -> int | None:
    parser = configparser.ConfigParser()
    parser.read(sequence / "seqinfo.ini", encoding="utf-8")
    text = parser.get("Sequence", "seqLength", fallback=None)
    return int(text) if text is not None and text.isdigit() else None


def find_result(name: str, results: Path, *, only: bool) -> Path:
    """A sequence's file of results.

    Raises:
        DataError: not there; names the file that was expected and the nearest that is.
    """
    if results.is_file():
        if not only:
            raise DataError(f"{results}: one file, but several sequences of ground truth: give a folder of NAME.txt")
        return results
    for path in (results / f"{name}.txt", results / name / "tracks.txt", results / "tracks.txt"):
        if path.is_file() and (only or path.name != "tracks.txt" or path.parent != results):
            return path
    there = sorted(p.name for p in results.glob("*.txt"))
    near = difflib.get_close_matches(f"{name}.txt", there, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(there[:8]) or 'no .txt files'}"
    raise DataError(f"{results}: no result for sequence {name}, expected {name}.txt{hint}")


def evaluate(truth: Path, results: Path, *, benchmark: str = "none") -> dict[str, Scores]:
    """Scores of every sequence, and under "combined" of all together.

    Args:
        truth: a `gt.txt`, a sequence's folder, or a folder of sequences.
        results: a file, or a folder of `NAME.txt`.
        benchmark: whose rules.

    Raises:
        DataError: something missing or malformed; names file and row.
    """
    if benchmark not in RULES:
        raise DataError(f"benchmark {benchmark!r} is unknown; there are: {', '.join(RULES)}")
    if not results.exists():
        raise DataError(f"{results}: no such file or folder of results")
    sequences = find_sequences(truth)
    scores = {
        name: evaluate_files(
            path, find_result(name, results, only=len(sequences) == 1), RULES[benchmark], length=length
        )
        for name, (path, length) in sequences.items()
    }
    return scores | {COMBINED: combine(scores)}
