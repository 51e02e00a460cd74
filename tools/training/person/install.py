"""Trained weights become those of the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

from tracker import open_source
from tracker.detection.bundled import BundledDetector
from tracker.detection.weights_file import read_about

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "tracker/detection/weights/person.safetensors"
CLIP = ROOT / "videos/plaza.mp4"


def install(weights: Path, side: int, score: float, trained: str | None) -> None:
    """Copy the tensors into the package, once ONNX Runtime and torch have been seen to find the same with them.

    Args:
        weights: what the training wrote.
        side: default input size, pixels of the long side.
        score: from which a box counts where nothing else is asked for, 0–1.
        trained: how, in words; what the weights say themselves when None.
    """
    read_about(weights)
    with safetensors.safe_open(weights, framework="numpy") as file:
        about = dict(file.metadata())
    about |= {"image_size": str(side), "score": str(score)} | ({"trained": trained} if trained else {})
    candidate = PACKAGE.with_suffix(".tmp")
    save_file(load_file(weights), candidate, metadata=about)
    apart = difference(candidate)
    if apart > 0.05:
        candidate.unlink()
        raise SystemExit(f"{weights}: boxes of ONNX Runtime and torch differ by {apart:.3f} pixels; not installed")
    candidate.chmod(0o644)
    candidate.replace(PACKAGE)
    done = read_about(PACKAGE)
    print(f"{PACKAGE}: {PACKAGE.stat().st_size:,} bytes, {side} pixels, score {score}, sha256 {done.sha256}")
    print(f"boxes of ONNX Runtime and torch on the CPU differ by {apart:.4f} pixels at most")


def difference(weights: Path) -> float:
    """Largest difference in pixels between the boxes of ONNX Runtime and of torch in full precision, on the clip."""
    with open_source(CLIP, max_frames=4) as source:
        frames = list(source)
    onnx, plain = (BundledDetector(weights, backend=b, device="cpu").detect(frames) for b in ("onnx", "torch"))
    if [len(d) for d in onnx] != [len(d) for d in plain]:
        return float("inf")
    return max(float(np.abs(a.xyxy - b.xyxy).max(initial=0)) for a, b in zip(onnx, plain, strict=True))
