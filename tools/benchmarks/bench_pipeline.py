"""Speed and memory of the whole pipeline beside Ultralytics' own `track`, on the same video with the same weights.

    python -m tools.benchmarks.bench_pipeline [VIDEO] [--frames 400] [--repeats 3]

Each run is a process of its own, the contenders take turns, medians are shown. Nothing is written: frames are
decoded, detected, (embedded,) tracked and thrown away. The first run of each contender is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SCORE = 0.1


def run_ours(video: str, frames: int, tracker: str, device: str) -> dict[str, Any]:
    """Our pipeline; milliseconds of each stage."""
    from tracker.config import load_pipeline_settings
    from tracker.pipeline import Pipeline
    from tracker.sources import open_source

    settings = load_pipeline_settings("default", [f"device={device}", f"detector.score={SCORE}"], tracker=tracker)
    pipeline = Pipeline.from_config(settings)
    with open_source(video, max_frames=frames) as source:
        started = time.perf_counter()
        count = sum(1 for _ in pipeline.steps(source))
        seconds = time.perf_counter() - started
    return {"frames": count, "seconds": seconds, "stages": pipeline.timings.milliseconds()}


def run_ultralytics(video: str, frames: int, weights: str, size: int, tracker: str, device: str) -> dict[str, Any]:
    """Ultralytics' `YOLO.track`, frame by frame as its guide does it."""
    import cv2

    from tracker.detection.ultralytics_settings import prepare

    prepare()
    from ultralytics import YOLO

    model = YOLO(weights, task="detect", verbose=False)
    options = {"imgsz": size, "conf": SCORE, "tracker": tracker, "device": device, "verbose": False, "persist": True}
    reader = cv2.VideoCapture(video)
    _, first = reader.read()
    model.predict(first, imgsz=size, device=device, verbose=False)  # loading is not timed, as it is not for us
    reader = cv2.VideoCapture(video)
    started, count = time.perf_counter(), 0
    while count < frames:
        there, image = reader.read()
        if not there:
            break
        model.track(image, **options)
        count += 1
    return {"frames": count, "seconds": time.perf_counter() - started, "stages": {}}


def checkpoint(folder: Path) -> tuple[Path, int]:
    """The bundled weights as a checkpoint that Ultralytics loads, and their image size."""
    import torch
    from safetensors.torch import load_file
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    import tracker.detection
    from tracker.detection.weights_file import read_about

    weights = read_about(Path(tracker.detection.__file__).parent / "weights/person.safetensors")
    config = yaml_model_load(weights.architecture)
    config["nc"] = len(weights.class_names)
    model = DetectionModel(config, nc=config["nc"], verbose=False)
    model.load_state_dict({k: v.float() for k, v in load_file(weights.path).items()})
    model.names = weights.class_names
    path = folder / "person.pt"
    torch.save({"model": model, "train_args": {"task": "detect", "imgsz": weights.image_size}}, path)
    return path, weights.image_size


def export(path: Path, size: int) -> Path | None:
    """The checkpoint as Ultralytics exports it to ONNX, for pictures of the clip's shape."""
    from ultralytics import YOLO

    shape = [-(-size * 3 // 4 // 32) * 32, size]
    try:
        return Path(YOLO(str(path), verbose=False).export(format="onnx", imgsz=shape, simplify=False, verbose=False))
    except (ImportError, RuntimeError, OSError) as error:
        print(f"Ultralytics' ONNX export is left out: {error}", file=sys.stderr)
        return None


def in_process(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job in a process of its own; adds its peak memory in MB."""
    command = [sys.executable, "-m", "tools.benchmarks.bench_pipeline", "--job", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{job}\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def work(job: dict[str, Any]) -> None:
    kind = job.pop("kind")
    result = run_ours(**job) if kind == "ours" else run_ultralytics(**job)
    result["memory"] = peak_memory()
    print(json.dumps(result))


def peak_memory() -> float:
    """This process's peak in MB. Linux keeps the parent's in `ru_maxrss` across exec, so the kernel's own is read."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def contenders(video: str, frames: int, device: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Name and job of everything that is compared."""
    path, size = checkpoint(folder)
    common = {"video": video, "frames": frames, "device": device}
    jobs = {
        "reacquire (re-ID on)": {"kind": "ours", "tracker": "reacquire"} | common,
        "reacquire bytetrack": {"kind": "ours", "tracker": "bytetrack"} | common,
    }
    exported = export(path, size) if device == "cpu" else None
    for label, weights in (("torch", path), ("ONNX", exported)):
        if weights is not None:
            for tracker in ("tracktrack", "bytetrack"):  # its default, and its fastest
                jobs[f"ultralytics {tracker}, {label}"] = {
                    "kind": "ultralytics", "weights": str(weights), "size": size, "tracker": f"{tracker}.yaml",
                } | common  # fmt: skip
    return jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", default="videos/plaza.mp4")
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", action="append", help="cpu, cuda:0; both where there is a GPU")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        work(json.loads(args.job))
        return
    import torch

    devices = args.device or (["cpu", "cuda:0"] if torch.cuda.is_available() else ["cpu"])
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, torch {torch.__version__}; {args.video}, {args.frames} frames"
    )
    for device in devices:
        with tempfile.TemporaryDirectory() as folder:
            jobs = contenders(args.video, args.frames, device, Path(folder))
            results: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
            for turn in range(args.repeats + 1):
                for name, job in jobs.items():
                    result = in_process(job)
                    if turn:
                        results[name].append(result)
        print(f"\n{device:<34}{'fps':>8}{'ratio':>8}{'MB':>8}  ms a frame by stage")
        fps = {name: statistics.median(r["frames"] / r["seconds"] for r in runs) for name, runs in results.items()}
        ours = next(iter(fps.values()))
        for name, runs in results.items():
            memory = statistics.median(r["memory"] for r in runs)
            stages = {s: statistics.median(r["stages"][s] for r in runs) for s in runs[0]["stages"]}
            shown = "  ".join(f"{stage} {ms:.1f}" for stage, ms in stages.items())
            print(f"{name:<34}{fps[name]:>8.1f}{ours / fps[name]:>8.2f}{memory:>8.0f}  {shown}")
        print("ratio: frames a second of our default over this one's")


if __name__ == "__main__":
    main()
