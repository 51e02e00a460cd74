"""Average precision on the validation pictures, and the speed of the network alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.ops import nms

from tools.training.person.gallery import GREY
from tools.training.person.pack import Picture, decode

THRESHOLDS = np.linspace(0.5, 0.95, 10)
Found = tuple[NDArray[np.float32], NDArray[np.float32]]


@torch.no_grad()
def detect(model: torch.nn.Module, pictures: Sequence[Picture], side: int, device: torch.device) -> list[Found]:
    """Boxes ``(N, 4)`` in pixels and scores ``(N,)`` of each picture, its long side scaled to ``side``."""
    model = deepcopy(model).eval()
    found: list[Found] = []
    for first in range(0, len(pictures), 16):
        images = decode([p.encoded for p in pictures[first : first + 16]])
        batch = torch.full((len(images), 3, side, side), GREY / 255, device=device)
        scales = []
        for row, image in enumerate(images):
            scale = side / max(image.shape[:2])
            size = [min(round(edge * scale), side) for edge in image.shape[:2]]
            pixels = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 255
            batch[row, :, : size[0], : size[1]] = interpolate(pixels, size, mode="bilinear", antialias=scale < 0.5)[0]
            scales.append(scale)
        predicted = model(batch)
        predicted = predicted[0] if isinstance(predicted, tuple) else predicted
        found += [_kept(p, scale) for p, scale in zip(predicted, scales, strict=True)]
    return found


def _kept(predicted: Tensor, scale: float) -> Found:
    """After suppression of those that overlap by 0.6, unless the network has one box per person as it is."""
    if predicted.shape[1] == 6:
        boxes, scores = predicted[:, :4], predicted[:, 4]
        sure = scores > 0.005
        boxes, scores = boxes[sure], scores[sure]
    else:
        middle, extent, scores = predicted[:2].T, predicted[2:4].T, predicted[4]
        sure = scores > 0.005
        boxes = torch.cat([middle - extent / 2, middle + extent / 2], 1)[sure]
        scores = scores[sure]
        kept = nms(boxes, scores, 0.6)[:300]
        boxes, scores = boxes[kept], scores[kept]
    return (boxes / scale).float().cpu().numpy(), scores.float().cpu().numpy()


def average_precision(found: Sequence[Found], truth: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """AP at overlap 0.5, and its mean over 0.5 to 0.95, by 101 points as of COCO."""
    scores, hits = [], []
    for (boxes, score), true in zip(found, truth, strict=True):
        order = np.argsort(-score, kind="stable")
        scores.append(score[order])
        hits.append(_hits(boxes[order], true))
    score, hit = np.concatenate(scores), np.concatenate(hits)
    hit = hit[np.argsort(-score, kind="stable")]
    total = sum(map(len, truth))
    precisions = []
    for column in hit.T:
        right = np.cumsum(column)
        precision = np.maximum.accumulate((right / np.arange(1, len(right) + 1))[::-1])[::-1]
        at = np.searchsorted(right / total, np.linspace(0, 1, 101))
        precisions.append(np.append(precision, 0.0)[at].mean())
    return float(precisions[0]), float(np.mean(precisions))


def _hits(boxes: NDArray[np.float32], true: NDArray[np.float32]) -> NDArray[np.bool_]:
    """``(N, 10)`` which boxes, best first, are right at each overlap; each true box is found once."""
    low = np.maximum(boxes[:, None, :2], true[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], true[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    area = [np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (boxes, true)]
    overlap = shared / np.maximum(area[0][:, None] + area[1][None] - shared, 1e-9)
    hit = np.zeros((len(boxes), len(THRESHOLDS)), bool)
    if not len(true):
        return hit
    for column, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(true), bool)
        for row in range(len(boxes)):
            best = int(np.argmax(np.where(free, overlap[row], -1)))
            if free[best] and overlap[row, best] >= threshold:
                free[best], hit[row, column] = False, True
    return hit


def judge(
    model: torch.nn.Module, pictures: Sequence[Picture], sides: Sequence[int], device: torch.device
) -> dict[str, dict[str, float]]:
    """AP50 and AP50-95 on the truly labelled validation pictures with people, by image size."""
    true = [p for p in pictures if p.validation and p.true and len(p.boxes)]
    scores = {}
    for side in sides:
        ap50, ap = average_precision(detect(model, true, side, device), [p.boxes for p in true])
        scores[str(side)] = {"ap50": round(ap50, 4), "ap50_95": round(ap, 4), "pictures": len(true)}
    return scores


@torch.inference_mode()
def speed(model: Any, side: int, device: torch.device, seconds: float) -> dict[str, float]:
    """Images a second through the fused network alone, by precision and batch."""
    rates = {}
    for precision in (torch.float32, torch.float16):
        fused = deepcopy(model).fuse(verbose=False).to(precision).eval()
        for batch in (1, 8, 32):
            image = torch.rand((batch, 3, side, side), device=device, dtype=precision)
            image = image.contiguous(memory_format=torch.channels_last)
            for _ in range(3):
                fused(image)
            wait(device)
            started, count = time.perf_counter(), 0
            while time.perf_counter() - started < seconds:
                for _ in range(5):
                    fused(image)
                wait(device)
                count += 5 * batch
            rates[f"{str(precision).removeprefix('torch.')} batch {batch}"] = round(
                count / (time.perf_counter() - started), 1
            )
    return rates


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
