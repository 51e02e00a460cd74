"""The archive that a benchmark's server takes, checked before it is made."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from reid.files import replacing, writing
from tracker.benchmark.dataset import VARIANTS, SequenceFolder, base_name
from tracker.errors import DataError
from tracker.evaluation.read import read_predictions
from tracker.formats.mot import read_mot

COLUMNS = 10
"""Of MOTChallenge's results: ``frame, id, left, top, width, height, score, x, y, z``."""
PLAIN = re.compile(rb"[-+0-9.eE, \r\n]*")
"""Bytes that every server reads; our own reader is kinder."""
TIME = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive, so that the same results make the same archive."""

TEST_SEQUENCES = {
    "mot15": [
        *("ADL-Rundle-1", "ADL-Rundle-3", "AVG-TownCentre", "ETH-Crossing", "ETH-Jelmoli", "ETH-Linthescher"),
        *("KITTI-16", "KITTI-19", "PETS09-S2L2", "TUD-Crossing", "Venice-1"),
    ],
    "mot16": [f"MOT16-{n:02d}" for n in (1, 3, 6, 7, 8, 12, 14)],
    "mot17": [f"MOT17-{n:02d}-{v}" for n in (1, 3, 6, 7, 8, 12, 14) for v in VARIANTS],
    "mot20": [f"MOT20-{n:02d}" for n in (4, 6, 7, 8)],
}
"""What the servers of MOTChallenge expect; for others, the data set's own test split is asked."""


def submit(run: Path, out: Path, *, benchmark: str, sequences: list[SequenceFolder] | None = None) -> dict[str, Path]:
    """Check a run's results and put them into an archive, `NAME.txt` each; the archive is whole or not there.

    A sequence of MOT17 that was tracked once, with detections of one's own, stands for its three variants.

    Args:
        run: folder of `NAME.txt`.
        out: the archive to write; must not exist.
        benchmark: whose server: mot15, mot16, mot17, mot20, or any name if `sequences` are given.
        sequences: those that are expected instead of the benchmark's test split; their lengths are checked too.

    Returns:
        The files by the name that they got.

    Raises:
        DataError: a sequence is missing or unknown, or a file is not what the server takes; names all that is wrong.
    """
    if out.suffix != ".zip":
        raise DataError(f"{out}: the server takes a .zip")
    if out.exists():
        raise DataError(f"{out}: exists; it is not overwritten")
    lengths = _expected(benchmark, sequences)
    files = _files(run)
    chosen, problems = _assigned(files, list(lengths), benchmark, run)
    for path in dict.fromkeys(chosen.values()):
        known = [lengths[name] for name, file in chosen.items() if file == path and lengths[name]]
        try:
            check_result(path, known[0] if known else None)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("not fit to hand in:\n" + "\n".join(f"  {line}" for line in problems))
    _write(out, chosen)
    return chosen


def check_result(path: Path, length: int | None) -> None:
    """Refuse a file that the server would refuse, or score as something else.

    Raises:
        DataError: names file and line.
    """
    read_predictions(path, length=length)
    if not path.stat().st_size:
        raise DataError(f"{path}: empty: no track in the whole sequence")
    rows = read_mot(path, length=length)
    if rows.values.shape[1] != COLUMNS:
        raise DataError(
            f"{path}: {rows.values.shape[1]} columns, expected {COLUMNS}: frame,id,left,top,width,height,score,-1,-1,-1"
        )
    rows.refuse(rows.values[:, 1] < 1, "ids must be 1 or more")
    data = path.read_bytes()
    if not PLAIN.fullmatch(data) or not all(b"," in line for line in data.splitlines() if line.strip()):
        raise DataError(
            f"{path}: the server takes plain rows alone: commas between columns, no header, no byte-order mark"
        )


def _expected(benchmark: str, sequences: list[SequenceFolder] | None) -> dict[str, int | None]:
    """Names, with lengths where they are known."""
    if sequences is not None:
        return {s.name: s.length for s in sequences}
    if benchmark not in TEST_SEQUENCES:
        raise DataError(
            f"the test sequences of {benchmark!r} are not known here (known: {', '.join(TEST_SEQUENCES)}): "
            "give the data set, --data DIR --split test"
        )
    return dict.fromkeys(TEST_SEQUENCES[benchmark])


def _files(run: Path) -> dict[str, Path]:
    if not run.is_dir():
        raise DataError(f"{run}: no such folder of results")
    files = {p.stem: p for p in sorted(run.glob("*.txt"))}
    if not files:
        raise DataError(f"{run}: no results, expected NAME.txt for every sequence")
    return files


def _assigned(
    files: dict[str, Path], expected: list[str], benchmark: str, run: Path
) -> tuple[dict[str, Path], list[str]]:
    """The file of each sequence that is expected, and what is wrong with that."""
    about = _about(run)
    problems = []
    if about.get("status") not in (None, "done"):
        problems.append(f"{run / 'run.json'}: the run is {about['status']}, not done")
    if str(about.get("split", "")).endswith("-half"):
        problems.append(f"{run / 'run.json'}: the run is of {about['split']}, half of each sequence")
    shared = _shared(files) if benchmark == "mot17" and about.get("detections") != "public" else {}
    chosen: dict[str, Path] = {}
    for name in expected:
        path = files.get(name) or shared.get(base_name(name))
        if path is None:
            problems.append(_missing(name, files, about))
        else:
            chosen[name] = path
    bases = {base_name(name) for name in expected} if shared else set()
    unknown = [name for name in files if name not in expected and name not in bases]
    if unknown:
        problems.append(f"{run}: not a sequence that is expected: {', '.join(unknown)}")
    return chosen, problems


def _shared(files: dict[str, Path]) -> dict[str, Path]:
    """The one result of each MOT17 sequence that was tracked once; those tracked for each variant are left out."""
    found: dict[str, list[Path]] = {}
    for name, path in files.items():
        found.setdefault(base_name(name), []).append(path)
    return {base: paths[0] for base, paths in found.items() if len(paths) == 1}


def _missing(name: str, files: dict[str, Path], about: dict[str, Any]) -> str:
    siblings = [other for other in files if base_name(other) == base_name(name) != name]
    if not siblings:
        return f"{name}.txt is missing"
    if about.get("detections") == "public":
        return f"{name}.txt is missing: with public detections each variant is a run of its own (--variant all)"
    return f"{name}.txt is missing, but there are {' and '.join(siblings)}: track one variant, or all three"


def _about(run: Path) -> dict[str, Any]:
    path = run / "run.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    return content if isinstance(content, dict) else {}


def _write(out: Path, chosen: dict[str, Path]) -> None:
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(chosen.items()):
            info = zipfile.ZipInfo(f"{name}.txt", TIME)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(info, path.read_bytes())
