"""Crops in memory: read, resized, and held where they fit."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.errors import DataError


def read_crops(paths: Sequence[Path], size: tuple[int, int], *, threads: int | None = None) -> Tensor:
    """All crops decoded and resized, ``(N, 3, H, W)`` uint8 RGB; 25 KB each at 128×64.

    Raises:
        DataError: names the file that is no image.
    """
    height, width = size
    crops = torch.empty((len(paths), 3, height, width), dtype=torch.uint8)

    def read(index: int) -> None:
        content = np.fromfile(paths[index], np.uint8)
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
        if image is None:
            raise DataError(f"{paths[index]}: not a readable image")
        crops[index] = torch.from_numpy(resize(np.asarray(image, np.uint8), size)[:, :, ::-1].transpose(2, 0, 1).copy())

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        list(pool.map(read, range(len(paths))))
    return crops


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """To ``(H, W)``: averaging when it shrinks, linear when it grows."""
    height, width = size
    shrink = image.shape[0] > height
    method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


class CropStore:
    """Crops at one size: all in memory where they fit, else read when they are asked for, a batch ahead.

    Args:
        paths: N files.
        size: height and width.
        memory: bytes that they may take.
        device: of torch, where they are wanted; crops that fit are held there.
    """

    def __init__(
        self, paths: Sequence[Path], size: tuple[int, int], *, memory: float, device: str | torch.device = "cpu"
    ) -> None:
        self.paths, self.size, self.device = paths, size, torch.device(device)
        fits = 3 * len(paths) * size[0] * size[1] <= memory
        self.held = read_crops(paths, size).to(self.device) if fits else None

    def __getitem__(self, rows: NDArray[np.int64]) -> Tensor:
        """``(len(rows), 3, H, W)`` uint8 RGB."""
        if self.held is not None:
            return self.held[torch.from_numpy(rows).to(self.device)]
        return read_crops([self.paths[i] for i in rows], self.size).to(self.device)

    def batches(self, rows: Iterable[NDArray[np.int64]], *, ahead: int = 2) -> Iterator[Tensor]:
        """The crops of each of several rows, read while the ones before are worked on."""
        if self.held is not None and self.device.type != "cpu":
            yield from map(self.__getitem__, rows)  # a device works on its own while the next are asked for
            return
        with ThreadPoolExecutor(1) as pool:
            waiting: deque[Future[Tensor]] = deque()
            for part in rows:
                waiting.append(pool.submit(self.__getitem__, part))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
