"""Torch beside ONNX Runtime, milliseconds a crop: `python -m tools.benchmarks.bench_embedder [WEIGHTS …]`.

Crops of people-sized boxes are cut from one made picture, so many at once as a frame or a batch of frames has. The
faster of the two is what `backend="auto"` takes on a CPU. With --crops DIR the vectors of both are compared on real
crops too.

Each cell is the time on the clock and the time of the processor, all cores together. On a machine that is busy with
other work only the second means much, and for torch only with OMP_NUM_THREADS=1, for its threads spin while they wait.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from reid import load_embedder
from reid.crop_network import TorchRunner
from reid.data.sets import images_in
from reid.embedder import Backend, Embedder

BATCHES = (1, 6, 32)
GPU_BATCHES = (1, 32, 256, 1024)


def milliseconds(embedder: Embedder, image: np.ndarray, boxes: np.ndarray, repeats: int) -> tuple[float, float]:
    """Medians a crop, on the clock and of the processor, cutting included."""
    embedder.embed(image, boxes)
    clock, processor = [], []
    for _ in range(repeats):
        started = time.perf_counter(), time.process_time()
        embedder.embed(image, boxes)
        clock.append(time.perf_counter() - started[0])
        processor.append(time.process_time() - started[1])
    return 1e3 * statistics.median(clock) / len(boxes), 1e3 * statistics.median(processor) / len(boxes)


def throughput(weights: str, device: str) -> None:
    """Crops a second of the network alone, full and half precision, by batch."""
    embedder = load_embedder(weights, device=device)
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}; {Path(weights).name}, crops a second")
    print(f"{'at once':<16}" + "".join(f"{n:>12}" for n in GPU_BATCHES))
    for half in (False, True):
        runner = TorchRunner(embedder.about, device, half=half)
        cells = ""
        for n in GPU_BATCHES:
            crops = torch.rand(n, 3, *embedder.about.preprocessing.size, device=device) * 255
            crops = crops.contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                for _ in range(3):
                    runner._network.embed(crops)
                torch.cuda.synchronize()
                started, times = time.perf_counter(), 0
                while times < 10 or time.perf_counter() - started < 0.3:
                    runner._network.embed(crops)
                    torch.cuda.synchronize()
                    times += 1
            cells += f"{n * times / (time.perf_counter() - started):>12,.0f}"
        print(f"{'half' if half else 'full':<16}" + cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", default=["default"])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--crops", type=Path)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:0 for torch there, network alone by batch")
    args = parser.parse_args()
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    if args.device != "cpu":
        for weights in args.weights:
            throughput(weights, args.device)
        return
    print(f"{'ms a crop: clock / processor':<40}" + "".join(f"{f'{n} at once':>18}" for n in BATCHES))
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    corner = random.uniform((0, 0), (1200, 560), (max(BATCHES), 2))
    boxes = np.concatenate([corner, corner + np.array([64, 150])], axis=1).astype(np.float32)
    backends: tuple[Backend, ...] = ("onnx", "torch")
    for weights in args.weights:
        both = [load_embedder(weights, device="cpu", backend=backend) for backend in backends]
        for embedder in both:
            times = [milliseconds(embedder, image, boxes[:n], args.repeats) for n in BATCHES]
            name = f"{Path(weights).name}, {embedder.describe()['backend']}"
            print(f"{name:<40}" + "".join(f"{clock:>9.2f} /{processor:>7.2f}" for clock, processor in times))
        if args.crops is not None:
            one, other = (embedder.embed_files(images_in(args.crops)) for embedder in both)
            print(f"  largest difference on {len(one)} crops: {np.abs(one - other).max():.1e}")


if __name__ == "__main__":
    main()
