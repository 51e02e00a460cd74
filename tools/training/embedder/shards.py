"""Views and the teacher's vectors of them, made once, kept in files that a training picks up as they come."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.training.embedder.people import Person
from tools.training.embedder.teacher import Teacher
from tools.training.embedder.views import STUDENT, TEACHER, Chance, render

SHARD = 4096
"""Views in a file: 100 MB of the student's, 2 MB of the teacher's vectors."""


def make_shard(folder: Path, number: int, people: list[Person], teacher: Teacher, chance: Chance) -> None:
    """Render the views of one shard, all chance from its number; each part appears when it is whole."""
    random = np.random.default_rng(number)
    chosen = choose(people, number)
    mixed = random.random(SHARD) < chance.mixed
    below = np.where(mixed, random.permutation(chosen), chosen).astype(np.int32)
    views, own = np.empty((SHARD, *STUDENT, 3), np.uint8), np.empty(SHARD, np.bool_)
    vectors = []
    for start in range(0, SHARD, teacher.batch):
        rows = range(start, start + teacher.batch)
        seen = np.empty((teacher.batch, *TEACHER, 3), np.uint8)
        for place, row in enumerate(rows):
            other = people[below[row]] if mixed[row] else None
            seen[place], views[row], own[row] = render(people[chosen[row]], other, chance, random)
        vectors.append(teacher(seen))
    _write(folder / f"person-{number:04}.npy", chosen)
    _write(folder / f"below-{number:04}.npy", below)
    _write(folder / f"own-{number:04}.npy", own)
    _write(folder / f"teacher-{number:04}.npy", np.concatenate(vectors))
    _write(folder / f"views-{number:04}.npy", views)


def choose(people: list[Person], number: int) -> NDArray[np.int32]:
    """Whom a shard shows: one shuffled list of everybody after the other, cut into shards."""
    first, last = number * SHARD, (number + 1) * SHARD
    rounds = range(first // len(people), -(-last // len(people)))
    order = np.concatenate([np.random.default_rng([7, turn]).permutation(len(people)) for turn in rounds])
    begin = first - rounds[0] * len(people)
    return order[begin : begin + SHARD].astype(np.int32)


def _write(path: Path, values: NDArray[np.generic]) -> None:
    partial = path.with_suffix(".tmp")
    with partial.open("wb") as file:
        np.save(file, values)
    os.replace(partial, path)


def write_people(folder: Path, people: list[Person]) -> None:
    """Who is who, beside the shards: source and identity of every person.

    Raises:
        ValueError: the shards in the folder show other people.
    """
    path = folder / "people.json"
    content = json.dumps({"source": [p.source for p in people], "identity": [p.identity for p in people]})
    if path.exists() and path.read_text() != content:
        raise ValueError(f"{folder} holds views of other people; take another folder")
    path.write_text(content)


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Views of several shards.

    Attributes:
        pixels: a ``(4096, 128, 64, 3)`` uint8 BGR array of each shard, left on disk.
        teacher: ``(N, 256)`` float16 of unit length.
        person: ``(N,)`` whom a view shows.
        identity: ``(N,)`` the same number for the same identity of the same source; -1 where nobody said, or where the
            view has other colours.
        row: ``(N,)`` where a view is: shard × 4096 + place.
    """

    pixels: list[NDArray[np.uint8]]
    teacher: NDArray[np.float16]
    person: NDArray[np.int32]
    identity: NDArray[np.int64]
    row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        """``(len(chosen), 128, 64, 3)``."""
        rows = self.row[chosen]
        return np.stack([self.pixels[row // SHARD][row % SHARD] for row in rows.tolist()])


def shards_in(folder: Path) -> list[int]:
    """Numbers of those that are whole."""
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("views-*.npy"))


def read_views(folder: Path, numbers: list[int], *, without: tuple[str, ...] = ()) -> Views:
    """The views of some shards, but those in which people of some sources are seen."""
    people = json.loads((folder / "people.json").read_text())
    source, identity = np.array(people["source"]), np.array(people["identity"], np.int64)
    names = np.unique(source)
    identity = np.where(identity < 0, -1, identity + 1_000_000 * np.searchsorted(names, source))
    person = np.concatenate([np.load(folder / f"person-{n:04}.npy") for n in numbers])
    teacher = np.concatenate([np.load(folder / f"teacher-{n:04}.npy") for n in numbers])
    own = np.concatenate([np.load(folder / f"own-{n:04}.npy") for n in numbers])
    below = np.concatenate([np.load(folder / f"below-{n:04}.npy") for n in numbers])
    keep = np.flatnonzero(~np.isin(source[person], without) & ~np.isin(source[below], without))
    pixels = [np.load(folder / f"views-{n:04}.npy", mmap_mode="r") for n in numbers]
    return Views(pixels, teacher[keep], person[keep], np.where(own, identity[person], -1)[keep], keep)
