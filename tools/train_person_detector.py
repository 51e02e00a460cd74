"""Train the bundled person detector from random weights.

    python tools/train_person_detector.py train                      # the CPU recipe that made the shipped weights
    python tools/train_person_detector.py train --recipe gpu         # 640 px, 300 epochs, for a GPU
    python tools/train_person_detector.py train --out runs/person-detector   # again: resumes where it stopped

The network is Ultralytics' architecture and loss (AGPL-3.0), the loop is ours: progressive image sizes,
AdamW with warm-up and a cosine, exponential moving average, checkpoints that resume, fixed seeds, a CSV and
TensorBoard. Data: a YOLO folder (`images/{train,val}`, `labels/{train,val}`), see docs/models/person-detector.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("YOLO_AUTOINSTALL", "false")

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader
from ultralytics.cfg import get_cfg
from ultralytics.data.build import build_yolo_dataset
from ultralytics.nn.tasks import DetectionModel, yaml_model_load
from ultralytics.utils.torch_utils import ModelEMA

from reid.runtime import sha256
from tracker.detection.weights_file import FORMAT

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data")) / "person_det"


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one image size."""

    size: int
    epochs: int
    mosaic: float


@dataclass(frozen=True)
class Recipe:
    """All that decides the result, beside data and seed.

    The learning rate begins anew with every cycle, at half its height after the first (Loshchilov and Hutter,
    ICLR 2017).
    """

    cycles: tuple[tuple[Stage, ...], ...]
    architecture: str = "yolo11n.yaml"
    batch: int = 16
    rate: float = 2e-3
    decay: float = 0.02
    warmup_epochs: float = 2.0
    ema_decay: float = 0.9995

    @property
    def stages(self) -> tuple[Stage, ...]:
        return tuple(stage for cycle in self.cycles for stage in cycle)

    @property
    def epochs(self) -> int:
        return sum(stage.epochs for stage in self.stages)

    def stage(self, epoch: int) -> Stage:
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        return self.stages[-1]

    def rate_at(self, epoch: float) -> float:
        """Learning rate: in each cycle a linear warm-up, then a half cosine down to one percent."""
        for number, cycle in enumerate(self.cycles):
            length = sum(stage.epochs for stage in cycle)
            if epoch < length or number == len(self.cycles) - 1:
                break
            epoch -= length
        peak = self.rate * (0.5 if number else 1.0)
        if epoch < self.warmup_epochs:
            return peak * max(epoch / self.warmup_epochs, 1e-3)
        rest = min((epoch - self.warmup_epochs) / (length - self.warmup_epochs), 1.0)
        return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * rest)))


RECIPES = {
    "cpu": Recipe(
        (
            (Stage(224, 26, 1.0), Stage(320, 20, 0.8), Stage(384, 5, 0.0)),
            (Stage(320, 11, 0.8), Stage(384, 3, 0.0)),
            (Stage(320, 30, 0.8), Stage(416, 5, 0.0)),
        )
    ),
    "gpu": Recipe(((Stage(640, 280, 1.0), Stage(640, 20, 0.0)),), batch=64, ema_decay=0.9999),
}


class CameraLook:
    """Makes web photos look like surveillance video: grey, blurred, low light, compressed, noisy."""

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        image = labels["img"]
        if random.random() < 0.15:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        if random.random() < 0.2:
            image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.5, 1.4))
        if random.random() < 0.2:
            gamma = math.exp(random.uniform(-0.7, 0.7))
            table = (255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
            image = cv2.LUT(np.ascontiguousarray(image), table)
        if random.random() < 0.2:
            quality = [cv2.IMWRITE_JPEG_QUALITY, random.randint(25, 75)]
            image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
        if random.random() < 0.1:
            noise = np.random.normal(0, random.uniform(3, 12), image.shape).astype(np.float32)
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
        labels["img"] = image
        return labels


def make_loader(recipe: Recipe, stage: Stage, data: Path, workers: int) -> DataLoader:
    """Augmented training batches at one image size."""
    cfg = get_cfg(
        overrides={
            "task": "detect", "imgsz": stage.size, "mosaic": stage.mosaic, "close_mosaic": 0, "scale": 0.6,
            "translate": 0.15, "degrees": 3.0, "hsv_h": 0.02, "hsv_s": 0.7, "hsv_v": 0.5, "fliplr": 0.5,
            "mixup": 0.0, "cache": "ram", "single_cls": True, "workers": workers,
        }
    )  # fmt: skip
    names = {"names": {0: "person"}, "nc": 1, "channels": 3}
    dataset = build_yolo_dataset(cfg, str(data / "images/train"), recipe.batch, names, mode="train", fraction=1.0)
    dataset.transforms.transforms.insert(-1, CameraLook())
    return DataLoader(
        dataset,
        recipe.batch,
        shuffle=True,
        num_workers=workers,
        collate_fn=dataset.collate_fn,
        generator=torch.Generator(),
        worker_init_fn=_seed_worker,
        drop_last=True,
    )


def _seed_worker(_: int) -> None:
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def make_model(architecture: str) -> DetectionModel:
    """The one-class network, random weights."""
    cfg = yaml_model_load(architecture)
    cfg["nc"] = 1
    model = DetectionModel(cfg, ch=3, nc=1, verbose=False)
    model.args = get_cfg(overrides={"box": 7.5, "cls": 0.5, "dfl": 1.5})
    model.names = {0: "person"}
    return model


def make_optimizer(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation are not decayed."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    free = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.99))


def fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is fast here: always on a GPU, on a CPU only with the instructions for it."""
    return device.type == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def train(args: argparse.Namespace) -> None:
    recipe = RECIPES[args.recipe]
    device = torch.device(args.device)
    out: Path = args.out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    np.random.seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    model = make_model(recipe.architecture).to(device).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(model, recipe)
    ema = ModelEMA(model, decay=recipe.ema_decay, tau=1000)
    epoch = 0
    checkpoint = out / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        ema.ema.load_state_dict(state["ema"])
        ema.updates = state["updates"]
        optimizer.load_state_dict(state["optimizer"])
        epoch = state["epoch"]
        print(f"resumed after epoch {epoch}", flush=True)
    autocast = fast_bf16(device)
    data = local_copy(args.data, out / "data")
    loader = None
    while epoch < recipe.epochs:
        stage = recipe.stage(epoch)
        if loader is None or stage != recipe.stage(epoch - 1):
            loader = make_loader(recipe, stage, data, args.workers)
        # The data's randomness depends on the epoch alone, so that a resumed run sees what it would have seen.
        torch.manual_seed(args.seed + epoch)
        loader.generator.manual_seed(args.seed + epoch)
        started = time.time()
        losses = train_epoch(model, ema, optimizer, loader, recipe, epoch, device, autocast)
        epoch += 1
        state = {
            "model": model.state_dict(), "ema": ema.ema.state_dict(), "updates": ema.updates,
            "optimizer": optimizer.state_dict(), "epoch": epoch,
        }  # fmt: skip
        torch.save(state, out / "last.tmp")
        (out / "last.tmp").replace(checkpoint)
        log(out, epoch, stage, losses, time.time() - started, recipe)


def local_copy(data: Path, target: Path) -> Path:
    """The data set copied beside the run: the loader writes caches into it, and data folders stay as they are."""
    if not (target / "labels").is_dir():
        shutil.copytree(data, target, dirs_exist_ok=True)
    return target


def train_epoch(
    model: DetectionModel,
    ema: ModelEMA,
    optimizer: torch.optim.Optimizer,
    loader: DataLoader,
    recipe: Recipe,
    epoch: int,
    device: torch.device,
    autocast: bool,
) -> dict[str, float]:
    """One pass over the data; mean of each part of the loss."""
    model.train()
    totals: dict[str, float] = {}
    for step, batch in enumerate(loader):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(epoch + step / len(loader))
        image = batch["img"].to(device, non_blocking=True).float().div_(255)
        batch["img"] = image.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            predicted = model(batch["img"])
        # The loss computes boxes and overlaps: full precision.
        loss, parts = model.loss(batch, as_float(predicted))
        optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        ema.update(model)
        parts = parts if isinstance(parts, dict) else dict(zip(("box", "cls", "dfl"), parts, strict=True))
        for name, value in parts.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    return {name: value / len(loader) for name, value in totals.items()}


def as_float(value: Any) -> Any:
    """Every tensor in a nest of lists and mappings in float32."""
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, dict):
        return {key: as_float(item) for key, item in value.items()}
    return type(value)(as_float(item) for item in value)


def log(out: Path, epoch: int, stage: Stage, losses: dict[str, float], seconds: float, recipe: Recipe) -> None:
    """A row of the CSV, a point in TensorBoard, a line on the screen."""
    row = {"epoch": epoch, "size": stage.size, "seconds": round(seconds, 1)} | {
        k: round(v, 4) for k, v in losses.items()
    }
    path = out / "log.csv"
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(" ".join(f"{k}={v}" for k, v in row.items()) + f" of {recipe.epochs}", flush=True)


def export(args: argparse.Namespace) -> None:
    """The averaged weights as the package carries them: half-precision tensors beside what they need."""
    state = torch.load(args.out / "last.pt", map_location="cpu", weights_only=True)
    recipe = RECIPES[args.recipe]
    make_model(recipe.architecture).load_state_dict(state["ema"])  # fits, or fails here
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in state["ema"].items()}
    about = {
        "format": FORMAT,
        "architecture": recipe.architecture,
        "class_names": json.dumps({0: "person"}),
        "image_size": str(args.image_size),
        "score": str(args.score),
        "trained": f"{state['epoch']} of {recipe.epochs} epochs, recipe {args.recipe}",
    }
    save_file({k: v.contiguous() for k, v in tensors.items()}, args.weights, metadata=about)
    print(f"{args.weights}: {args.weights.stat().st_size:,} bytes, sha256 {sha256(args.weights)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("train", help="train, or go on where it stopped")
    verb.add_argument("--recipe", choices=RECIPES, default="cpu")
    verb.add_argument("--data", type=Path, default=DATA)
    verb.add_argument("--out", type=Path, default=Path("runs/person-detector"))
    verb.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    verb.add_argument("--seed", type=int, default=1)
    verb.add_argument("--threads", type=int, default=0)
    verb.add_argument("--workers", type=int, default=1)
    verb.set_defaults(run=train)
    verb = verbs.add_parser("export", help="write the averaged weights as the package carries them")
    verb.add_argument("--recipe", choices=RECIPES, default="cpu")
    verb.add_argument("--out", type=Path, default=Path("runs/person-detector"))
    verb.add_argument("--weights", type=Path, default=Path("tracker/detection/weights/person.safetensors"))
    verb.add_argument("--image-size", type=int, default=416)
    verb.add_argument("--score", type=float, default=0.1)
    verb.set_defaults(run=export)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
