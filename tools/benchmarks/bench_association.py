"""Speed of association beside the peers: `python -m tools.benchmarks.bench_association --peers`.

Only the update step, one thread, CPU time. Inputs are made beforehand, as each wants them: an array for the fast peers,
`Detections` for ours, whose answer is `Tracks` with columns that are cut when somebody asks; "from and to arrays" times
all of that too. Every package runs in a process of its own, and in an environment of its own that is made here at the
first time (`--peers`; into the user's cache, or `--cache`). What this environment has already, as torch, is shared with
it. The contenders take turns, figures are medians of repeats; slow ones get fewer turns and frames, and none where a
frame would take too long. Without `--peers`, only what this environment has runs beside ours.

Loads: SORT's public detections of MOT15, sequence after sequence, where the data folder is (for the slow, the first
tenth of every sequence); and random walks of N objects in a place that grows with them, so that the crowd is as dense.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.runtime import cache_folder
from tools.benchmarks.association_peers import TRACKERS

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
WORKER = Path(__file__).with_name("association_peers.py")
OWN = "reacquire"
HERE = (OWN, "ultralytics")
"""Packages that this environment has."""
APART = {"norfair": "norfair", "supervision": "supervision<0.28"}
"""Packages that want other versions of what is here, so that nothing is shared with them; supervision's tracker went to
`trackers` in later versions."""
LIKE = ("sort", "bytetrack", "ocsort")
"""Algorithms that ours and peers have."""
WARM = 5
"""Frames that are not counted."""
Rows = NDArray[np.float32]


def walk(objects: int) -> list[Rows]:
    """``(N, 5)`` boxes and scores of each frame; everyone walks straight on, and turns back at the border."""
    random, frames = np.random.default_rng(objects), WARM + max(30, 20_000 // objects)
    side = 150 * objects**0.5
    place, speed = random.uniform(0, side, (objects, 2)), random.normal(0, 2, (objects, 2))
    out = []
    for _ in range(frames):
        speed[(place + speed < 0) | (place + speed > side)] *= -1
        place += speed
        corner = place + random.normal(0, 1, place.shape)
        rows = np.column_stack([corner, corner + np.array([40, 100]), random.uniform(0.3, 1, objects)])
        out.append(rows[random.random(objects) > 0.05].astype(np.float32))
    return out


def public(share: float = 1.0) -> list[Rows]:
    """SORT's detections, sequence after sequence, of each the first part."""
    out = []
    for path in sorted((DATA / "mot15").glob("*/det/det.txt")):
        rows = np.loadtxt(path, delimiter=",")
        rows[:, 4:6] += rows[:, 2:4]
        for frame in range(1, int(share * rows[:, 0].max()) + 1):
            chosen = rows[rows[:, 0] == frame]
            out.append(np.column_stack([chosen[:, 2:6], np.clip(chosen[:, 6], 0, 1)]).astype(np.float32))
    return out


def make_environment(package: str, cache: Path) -> Path:
    """The Python of a package's own environment, made if it is not there.

    Raises:
        RuntimeError: it cannot be installed; says why.
    """
    if package in HERE:
        return Path(sys.executable)
    folder = cache / package
    python = folder / "bin/python"
    if (folder / "whole").exists():
        return python
    venv.create(folder, clear=True, with_pip=package in APART)
    if package not in APART:
        site = next((folder / "lib").glob("python*/site-packages"))
        ours = next(path for path in sys.path if path.endswith("site-packages"))
        (site / "shared.pth").write_text(f"import sys; sys.path.append({ours!r})\n")
    print(f"installing {package} …", file=sys.stderr, flush=True)
    install = [str(python), "-m", "pip", "install", "--quiet", APART.get(package, package)]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise RuntimeError(f"does not install: {done.stderr.strip().splitlines()[-1][:200]}")
    (folder / "whole").touch()
    return python


class Worker:
    """A package's process."""

    def __init__(self, package: str, python: Path, loads: Path) -> None:
        one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR")}
        path = str(WORKER.parents[2]) if package == OWN else ""
        self._process = subprocess.Popen(
            [python, WORKER, loads, package], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=os.environ | one | {"PYTHONPATH": path},
        )  # fmt: skip
        self.version = str(self._read().get("version", "does not start"))

    def ask(self, **request: Any) -> dict[str, Any]:
        """One answer; with `error` where there is none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            return {"error": "its process died"}
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its process died"}
        return answer

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@dataclass
class Contender:
    """A tracker of a package, and what was measured of it, by load."""

    package: str
    tracker: str
    worker: Worker
    spent: float = 0.0
    error: str = ""
    times: dict[str, list[float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.package} {self.tracker}" if self.tracker != self.package else self.package

    def run(self, load: str, seconds: float) -> None:
        """One turn."""
        started = time.perf_counter()
        answer = self.worker.ask(tracker=self.tracker, load=load, warm=WARM, seconds=seconds)
        self.spent += time.perf_counter() - started
        if "error" in answer:
            self.error = answer["error"]
        else:
            self.times.setdefault(load, []).append(answer["microseconds"])

    def median(self, load: str) -> float | None:
        """Microseconds a frame."""
        return statistics.median(self.times[load]) if self.times.get(load) else None


def compete(contenders: list[Contender], walks: dict[str, int], args: argparse.Namespace) -> None:
    """Let all take turns."""
    for turn in range(args.repeats):
        for c in contenders:
            if c.error or c.spent > args.share:
                continue
            c.run("MOT15, a tenth", args.seconds)
            if (c.median("MOT15, a tenth") or 0) < args.slow:
                c.run("MOT15", 10 * args.seconds)
            last, before = 0.0, 1
            for load, objects in walks.items():
                expected = last * (objects / before) ** 2  # a matrix of all pairs
                if expected * (WARM + 10) > 1e6 * args.longest:
                    break
                c.run(load, args.seconds)
                last, before = c.median(load) or np.inf, objects
        print(f"turn {turn + 1} of {args.repeats}", file=sys.stderr, flush=True)
    for c in contenders:
        c.times.setdefault("MOT15", c.times.get("MOT15, a tenth", []))


def show(contenders: list[Contender], loads: list[str]) -> None:
    """The table, and what follows from it."""

    def cell(value: float | None) -> str:
        return f"{'–' if value is None else f'{value:.0f}' if value >= 100 else f'{value:.1f}':>11}"

    print(f"{'microseconds a frame':<34}" + "".join(f"{load:>11}" for load in loads) + f"{'2000/100':>11}")
    for c in contenders:
        if c.error:
            print(f"{c.name:<34}{c.error}")
            continue
        few, many = c.median("100"), c.median("2000")
        growth = many / few if few and many else None
        print(f"{c.name:<34}" + "".join(cell(c.median(load)) for load in loads) + cell(growth))
    print(f"\n{'time beside the fastest peer':<34}" + "".join(f"{load:>11}" for load in loads))
    for algorithm in LIKE:
        own = next((c for c in contenders if (c.package, c.tracker) == (OWN, algorithm)), None)
        peers = [c for c in contenders if c.tracker == algorithm and c.package != OWN]
        cells = []
        for load in loads:
            least = min((t for c in peers if (t := c.median(load))), default=None)
            mine = own.median(load) if own else None
            cells.append(f"{f'{mine / least:.2f}' if mine and least else '–':>11}")
        print(f"{algorithm:<34}" + "".join(cells))
    sort, best = (next((c for c in contenders if c.name == n), None) for n in (f"{OWN} sort", OWN))
    if sort and best and not best.error:
        ratios = [f"{(best.median(load) or np.nan) / (sort.median(load) or np.nan):>11.2f}" for load in loads]
        print(f"{'reacquire beside our sort':<34}" + "".join(ratios))


def check_memory(contenders: list[Contender], frames: int, load: str) -> dict[str, list[float]]:
    """MB of ours over many frames."""
    levels = {}
    for c in contenders:
        if c.package == OWN and not c.error:
            answer = c.worker.ask(tracker=c.tracker, load=load, count=frames)
            levels[c.name] = answer.get("megabytes", [])
            print(f"{c.name:<34}MB after each tenth of {frames} frames: {answer.get('megabytes', answer)}", flush=True)
    return levels


def save_loads(loads: dict[str, list[Rows]], path: Path) -> None:
    """All loads in one file, frames behind each other."""
    arrays = {}
    for name, frames in loads.items():
        arrays[f"{name}|rows"], arrays[f"{name}|ends"] = np.concatenate(frames), np.cumsum([len(f) for f in frames])
    np.savez(path, **arrays)  # type: ignore[arg-type]  # the stub takes the names for its own options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", metavar="PACKAGE", help=f"all, or some of: {', '.join(TRACKERS)}")
    parser.add_argument("--cache", type=Path, help="where the peers' environments are")
    parser.add_argument("--objects", type=int, nargs="+", default=[10, 50, 100, 200, 500, 2000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of CPU time for a tracker and load in a turn")
    parser.add_argument("--share", type=float, default=10, help="seconds after which a contender gets no more turns")
    parser.add_argument("--slow", type=float, default=500, help="microseconds a frame above which a tenth must do")
    parser.add_argument("--longest", type=float, default=10, help="seconds above which a load is left out")
    parser.add_argument("--memory", action="store_true", help="100,000 frames of ours: does memory grow?")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    chosen = HERE if args.peers is None else [OWN, *(args.peers or [p for p in TRACKERS if p != OWN])]
    walks = {str(n): n for n in args.objects}
    loads = {name: walk(n) for name, n in walks.items()}
    if DATA.is_dir():
        loads |= {"MOT15": public(), "MOT15, a tenth": public(0.1)}
    else:
        print(f"no data folder at {DATA}: MOT15 is left out", file=sys.stderr)
    cache = args.cache or (cache_folder() or Path(tempfile.gettempdir())) / "peers"
    contenders: list[Contender] = []
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        save_loads(loads, Path(folder) / "loads.npz")
        for package in chosen:
            try:
                python = make_environment(package, cache)
            except (RuntimeError, subprocess.SubprocessError, OSError) as error:
                missing[package] = str(error)
                continue
            worker = Worker(package, python, Path(folder) / "loads.npz")
            contenders += [Contender(package, tracker, worker) for tracker in TRACKERS[package]]
        versions = {c.package: c.worker.version for c in contenders}
        about = f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        print(about, ", ".join(f"{p} {v}" for p, v in versions.items()), sep="\n")
        if not args.memory:
            compete(contenders, walks, args)
            show(contenders, ["MOT15", *walks])
        levels = check_memory(contenders, 100_000, "10") if args.memory else {}
        for package, why in missing.items():
            print(f"{package:<34}{why}")
        for worker in {c.worker for c in contenders}:
            worker.close()
    if args.json:
        times = {c.name: c.times | ({"error": c.error} if c.error else {}) for c in contenders}
        content = {"machine": about, "versions": versions, "microseconds": times, "missing": missing, "memory": levels}
        args.json.write_text(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
