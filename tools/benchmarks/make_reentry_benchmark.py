"""Scenes in which people leave and come back: `python -m tools.benchmarks.make_reentry_benchmark OUT`.

Real crops of people (the data folder's Market-1501 validation identities, on which nothing was trained) walk through
drawn places: behind walls, where they stay for a while, behind pillars and each other, out of the picture and back
after seconds to a minute, there or at another border, often as another camera saw them. Ground truth gives a person
one identity for all of it. Detections are made from it with noise (misses in runs, trembling, scores and boxes that
shrink with what is hidden, false boxes) and embedded by the bundled embedder as the picture shows them.

OUT/tune and OUT/test hold sequences in MOTChallenge's layout (`gt/gt.txt`, `det/det.txt`, `seqinfo.ini`; pictures
with `--frames`) and `embeddings.npz`, a row a detection. The two share no person and no seed: settings are found on
one, and reported on the other. In ground truth a person who is out of sight has class 8 and flag 0: with MOT17's rules
it is neither right nor wrong to show a box there. `tools/benchmarks/compare_reentry.py` runs trackers over them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reid import load_embedder

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data")) / "reid/market1501/val"
SPLITS = {"tune": 0, "test": 1}
WIDTH, HEIGHT, RATE = 960, 540, 10
NEAR, FAR = 520, 250
"""Feet of the nearest and the farthest person, pixels from the top."""
SEEN = 0.1
"""Whoever shows less of himself is out of sight."""
PEDESTRIAN, OUT_OF_SIGHT = 1, 8
Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]
Chance = np.random.Generator


@dataclass(frozen=True)
class Wall:
    """Something to hide behind, from `left` to `right`; whoever's feet are above `base` is behind it."""

    left: int
    right: int
    top: int
    base: int
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class Person:
    """One identity's life: `feet` ``(F, 2)``, NaN while away; `look` ``(F,)``, the crop that is shown."""

    feet: Floats
    look: NDArray[np.int64]
    crops: list[Picture]


@dataclass(frozen=True)
class Crops:
    """An identity's crops, by camera."""

    images: list[Picture]
    camera: NDArray[np.int64]


def identities(split: str) -> list[Crops]:
    """Every second identity that at least two cameras saw, of those in the data folder."""
    paths: dict[str, list[Path]] = {}
    for path in sorted((DATA / "query").glob("*.jpg")) + sorted((DATA / "gallery").glob("*.jpg")):
        paths.setdefault(path.name[:4], []).append(path)
    known = []
    for name in sorted(paths):
        camera = np.array([int(path.name.split("_c")[1][0]) for path in paths[name]])
        if len(np.unique(camera)) > 1:
            known.append((paths[name], camera))
    return [
        Crops([np.asarray(cv2.imread(str(p)), np.uint8) for p in chosen], camera)
        for chosen, camera in known[SPLITS[split] :: 2]
    ]


def height_at(y: float) -> float:
    """Of a person whose feet are there, in pixels."""
    return 75 + 0.38 * (y - FAR)


def build_walls(chance: Chance) -> list[Wall]:
    """One or two walls and one to three pillars that do not stand in each other's way."""
    widths = [*chance.integers(130, 280, chance.integers(1, 3)), *chance.integers(35, 80, chance.integers(1, 4))]
    walls: list[Wall] = []
    for width in widths:
        for _ in range(50):
            left = int(chance.integers(60, WIDTH - 60 - width))
            if all(left > w.right + 40 or left + width < w.left - 40 for w in walls):
                base = int(chance.integers(FAR + 70, NEAR - 40))
                red, green, blue = chance.integers(60, 170, 3).tolist()
                walls.append(
                    Wall(left, left + int(width), base - int(1.35 * height_at(base)), base, (red, green, blue))
                )
                break
    return walls


class Life:
    """Writes a person's way and looks, frame by frame."""

    def __init__(self, chance: Chance, crops: Crops, frames: int) -> None:
        self.chance, self.crops, self.frames = chance, crops, frames
        self.feet: list[tuple[float, float]] = []
        self.look: list[int] = []
        self.pace = chance.uniform(0.5, 0.95)  # heights a second
        self.camera = -1
        self.change_camera(1.0)

    def change_camera(self, probability: float) -> None:
        """From now on seen as by another camera, perhaps."""
        others = np.setdiff1d(np.unique(self.crops.camera), [self.camera])
        if self.chance.random() < probability:
            self.camera = int(self.chance.choice(others))
        self.mine = self.chance.permutation(np.flatnonzero(self.crops.camera == self.camera))
        self.turn, self.until = 0, 0

    def add(self, x: float, y: float) -> None:
        """One frame; now and then the next crop of the same camera."""
        if len(self.look) >= self.until:
            self.turn += 1
            self.until = len(self.look) + int(RATE * self.chance.uniform(0.6, 1.6))
        self.feet.append((x, y))
        self.look.append(int(self.mine[self.turn % len(self.mine)]))

    def stay(self, seconds: float) -> None:
        """Where he is."""
        x, y = self.feet[-1]
        for _ in range(round(seconds * RATE)):
            self.add(x + self.chance.normal(0, 1), y)

    def away(self, seconds: float) -> None:
        """Out of the picture."""
        for _ in range(round(seconds * RATE)):
            self.add(np.nan, np.nan)

    def walk(self, x: float, y: float) -> None:
        """To a place, at his own pace, not quite straight."""
        goal, here = np.array([x, y]), np.array(self.feet[-1])
        sway, phase = self.chance.uniform(2, 8), self.chance.uniform(0, 6.3)
        pace = self.pace * self.chance.uniform(0.85, 1.15)
        start = len(self.feet)
        while len(self.feet) < self.frames:
            step = pace * height_at(here[1]) / RATE
            off = goal - here
            distance = float(np.hypot(*off))
            if distance <= step:
                self.add(*goal)
                return
            here = here + off / distance * step
            self.add(here[0], here[1] + sway * np.sin(phase + 0.25 * (len(self.feet) - start)) * min(1, distance / 60))


def live(chance: Chance, crops: Crops, walls: list[Wall], frames: int) -> Person:
    """A whole life: in, past and behind things, out, away for a while, in again; as often as there is time."""
    life = Life(chance, crops, frames)
    life.away(chance.uniform(0, 12))
    side = chance.choice([-1, 1])
    while len(life.feet) < frames:
        life.add(-60.0 if side < 0 else WIDTH + 60.0, chance.uniform(FAR + 10, NEAR))
        for _ in range(chance.integers(1, 4)):
            wander(chance, life, walls)
        if chance.random() < 0.12:  # out at the front
            life.walk(chance.uniform(100, WIDTH - 100), HEIGHT + 190)
            side = chance.choice([-1, 1])
        else:
            out = chance.choice([-1, 1])
            life.walk(-60 if out < 0 else WIDTH + 60, chance.uniform(FAR + 10, NEAR))
            side = out if chance.random() < 0.65 else -out
        shortest, longest = [(1, 4), (4, 12), (12, 45)][chance.choice(3, p=[0.3, 0.4, 0.3])]
        life.away(chance.uniform(shortest, longest))
        life.change_camera(0.6)
    return Person(np.array(life.feet[:frames]), np.array(life.look[:frames]), crops.images)


def wander(chance: Chance, life: Life, walls: list[Wall]) -> None:
    """To a place in view, or behind something for a while and out again on either side."""
    if chance.random() < 0.55:
        life.walk(chance.uniform(80, WIDTH - 80), chance.uniform(FAR + 10, NEAR))
        if chance.random() < 0.3:
            life.stay(chance.uniform(0.5, 4))
        return
    wall = walls[chance.integers(len(walls))]
    y = chance.uniform(max(FAR, wall.base - 60), wall.base - 8)
    life.walk((wall.left + wall.right) / 2 + chance.uniform(-10, 10), y)
    if wall.right - wall.left > 100:  # a pillar does not hide who stands still
        seconds = chance.choice([0, chance.uniform(0.5, 4), chance.uniform(4, 16)], p=[0.4, 0.35, 0.25])
        life.stay(seconds)
        if seconds > 0:
            life.change_camera(0.35)
    life.walk(chance.choice([wall.left - 90, wall.right + 90]), y)


class Stage:
    """The drawn place, and a way to see who stands where in it."""

    def __init__(self, chance: Chance, walls: list[Wall], people: list[Person]) -> None:
        self.walls, self.people = walls, people
        small = chance.integers(0, 255, (HEIGHT // 20, WIDTH // 20, 1)).astype(np.uint8)
        texture = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(float)[..., None]
        ground = np.linspace(150, 95, HEIGHT)[:, None, None] + chance.uniform(-20, 20, 3)
        self.background = np.clip(ground + 0.16 * (texture - 128), 0, 255).astype(np.uint8)
        self.texture = (0.12 * (texture - 128)).astype(np.int16)
        self.grain = chance.normal(0, 4, (HEIGHT + 64, WIDTH + 64, 3)).astype(np.int16)
        u, v = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 128))
        self.shape = np.clip((1.25 - u**4 - v**6) / 0.25, 0, 1)  # a box without corners, soft at the rim

    def shoot(self, chance: Chance, frame: int) -> tuple[Picture, Floats, Floats]:
        """The picture of a frame, ``(P, 4)`` whole boxes (NaN for who is away), and what of them is seen.

        What is seen is ``(P, 5)``: a share of the person in 0–1, and the corners of the part.
        """
        picture = self.background.copy()
        owner = np.full((HEIGHT, WIDTH), -1, np.int16)
        boxes = np.full((len(self.people), 4), np.nan)
        size = np.ones(len(self.people))
        things = [(float(p.feet[frame, 1]), i) for i, p in enumerate(self.people) if not np.isnan(p.feet[frame, 0])]
        things += [(wall.base, -2 - i) for i, wall in enumerate(self.walls)]
        for y, i in sorted(things):
            if i < 0:
                self._draw_wall(picture, owner, self.walls[-2 - i])
                continue
            tall = height_at(y)
            x = float(self.people[i].feet[frame, 0])
            boxes[i] = x - tall / 4, y - tall, x + tall / 4, y
            size[i] = self._draw(picture, owner, i, boxes[i], frame)
        dx, dy = chance.integers(0, 64, 2)
        noisy = picture + self.grain[dy : dy + HEIGHT, dx : dx + WIDTH]
        return np.clip(noisy, 0, 255).astype(np.uint8), boxes, self._seen(owner, size)

    def _draw(self, picture: Picture, owner: NDArray[np.int16], i: int, box: Floats, frame: int) -> float:
        """One person; how many pixels he would have if nothing hid him."""
        x1, y1, x2, y2 = np.round(box).astype(int)
        crop = cv2.resize(self.people[i].crops[self.people[i].look[frame]], (x2 - x1, y2 - y1))
        alpha = cv2.resize(self.shape, (x2 - x1, y2 - y1))
        left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, WIDTH), min(y2, HEIGHT)
        if left < right and top < bottom:
            inside = np.s_[top - y1 : bottom - y1, left - x1 : right - x1]
            a, part = alpha[inside][..., None], picture[top:bottom, left:right]
            part[:] = a * crop[inside] + (1 - a) * part
            owner[top:bottom, left:right][alpha[inside] > 0.5] = i
        return float((alpha > 0.5).sum())

    def _draw_wall(self, picture: Picture, owner: NDArray[np.int16], wall: Wall) -> None:
        area = np.s_[max(wall.top, 0) : wall.base, wall.left : wall.right]
        picture[area] = np.clip(np.array(wall.colour) + self.texture[area], 0, 255)
        owner[area] = -1

    def _seen(self, owner: NDArray[np.int16], size: Floats) -> Floats:
        out = np.zeros((len(self.people), 5))
        counts = np.bincount(owner[owner >= 0], minlength=len(self.people))
        for i in np.flatnonzero(counts):
            rows, columns = np.flatnonzero((owner == i).any(1)), np.flatnonzero((owner == i).any(0))
            out[i] = min(counts[i] / size[i], 1), columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return out


class Detector:
    """Sees people as a detector does."""

    def __init__(self, chance: Chance, people: int) -> None:
        self.chance = chance
        self.missing = np.zeros(people, int)
        self.tremble = np.zeros((people, 4))
        self.ghosts: list[tuple[int, Floats]] = []

    def detect(self, boxes: Floats, seen: Floats) -> Floats:
        """``(N, 5)`` corners and score.

        Everyone is missed for runs of 1 to 5 frames now and then, and more the more is hidden. Boxes are drawn towards
        the part that is seen, and tremble by 2.5 % of their size, partly as in the frame before.
        """
        chance, share = self.chance, seen[:, 0]
        self.tremble = 0.6 * self.tremble + 0.8 * chance.normal(0, 0.025, self.tremble.shape)
        self.missing = np.maximum(self.missing - 1, 0)
        begins = (self.missing == 0) & (chance.random(len(boxes)) < 0.02)
        self.missing[begins] = chance.integers(1, 6, begins.sum())
        found = (self.missing == 0) & (chance.random(len(boxes)) < np.clip((share - 0.12) / 0.35, 0, 0.98))
        rows = []
        for i in np.flatnonzero(found & (share > SEEN)):
            side = np.tile(boxes[i, 2:] - boxes[i, :2], 2)
            box = 0.4 * boxes[i] + 0.6 * seen[i, 1:] if share[i] < 0.8 else boxes[i].copy()
            score = np.clip(0.3 + 0.6 * share[i] + chance.normal(0, 0.07), 0.05, 0.99)
            rows.append(np.r_[box + self.tremble[i] * side, score])
        rows += self._false_boxes(boxes[share > 0.5])
        out = np.array(rows).reshape(-1, 5)
        out[:, [0, 2]] = np.clip(out[:, [0, 2]], 0, WIDTH)
        out[:, [1, 3]] = np.clip(out[:, [1, 3]], 0, HEIGHT)
        return np.asarray(out[((out[:, 2:4] - out[:, :2]) > 6).all(1)], np.float64)

    def _false_boxes(self, people: Floats) -> list[Floats]:
        """One in six frames a new one, for 1 to 6 frames: somewhere, or between two people or beside one."""
        chance = self.chance
        if chance.random() < 0.16:
            y = chance.uniform(FAR, NEAR)
            x, tall = chance.uniform(0, WIDTH), height_at(y) * chance.uniform(0.6, 1.2)
            box = np.array([x - tall / 4, y - tall, x + tall / 4, y])
            if len(people) and chance.random() < 0.4:
                near = people[chance.integers(len(people))]
                box = near + chance.normal(0, 0.35, 4) * np.tile(near[2:] - near[:2], 2)
            box = np.r_[np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])]
            self.ghosts.append((int(chance.integers(1, 7)), np.r_[box, np.clip(chance.normal(0.38, 0.13), 0.05, 0.9)]))
        rows = [ghost + np.r_[chance.normal(0, 2, 4), 0] for _, ghost in self.ghosts]
        self.ghosts = [(left - 1, ghost) for left, ghost in self.ghosts if left > 1]
        return rows


def shoot(split: str, number: int, seconds: float) -> Iterator[tuple[Picture, Floats, Floats, Floats]]:
    """Frames of a scene: picture, ``(P, 4)`` whole boxes, ``(P, 5)`` what is seen of them, ``(N, 5)`` detections."""
    known, frames = identities(split), round(seconds * RATE)
    plan, look, see = (np.random.default_rng((SPLITS[split], number, k)) for k in range(3))
    walls = build_walls(plan)
    cast = plan.choice(len(known), int(plan.integers(10, 15)), replace=False)
    people = [live(plan, known[i], walls, frames) for i in cast]
    stage, detector = Stage(look, walls, people), Detector(see, len(people))
    for frame in range(frames):
        picture, boxes, seen = stage.shoot(look, frame)
        yield picture, boxes, seen, detector.detect(boxes, seen)


def truth_rows(frame: int, boxes: Floats, seen: Floats) -> list[str]:
    """Ground truth of a frame: who is in the picture, also behind something."""
    lines = []
    for i, (box, share) in enumerate(zip(boxes, seen[:, 0], strict=True)):
        x, y = (box[:2] + box[2:]) / 2
        if not (0 <= x < WIDTH and 0 <= y < HEIGHT) and not share > SEEN:
            continue
        kind = PEDESTRIAN if share > SEEN else OUT_OF_SIGHT
        flag = int(kind == PEDESTRIAN)
        (left, top), (wide, tall) = box[:2], box[2:] - box[:2]
        lines.append(f"{frame},{i + 1},{left:.2f},{top:.2f},{wide:.2f},{tall:.2f},{flag},{kind},{share:.3f}\n")
    return lines


def write(folder: Path, split: str, number: int, seconds: float, pictures: bool) -> int:
    """One scene; how many detections it has."""
    for part in ("gt", "det", *(["img1"] if pictures else [])):
        (folder / part).mkdir(parents=True, exist_ok=True)
    embedder = load_embedder("default")
    true: list[str] = []
    found: list[str] = []
    vectors = []
    for frame, (picture, boxes, seen, rows) in enumerate(shoot(split, number, seconds), 1):
        true += truth_rows(frame, boxes, seen)
        rows = rows.round(2) if len(rows) else rows
        for x1, y1, x2, y2, score in rows:
            found.append(f"{frame},-1,{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.2f}\n")
        vectors.append(embedder.embed(picture, rows[:, :4].astype(np.float32)))
        if pictures:
            cv2.imwrite(str(folder / f"img1/{frame:06d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    (folder / "gt/gt.txt").write_text("".join(true))
    (folder / "det/det.txt").write_text("".join(found))
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={folder.name}\nimDir=img1\nframeRate={RATE}\nseqLength={round(seconds * RATE)}\n"
        f"imWidth={WIDTH}\nimHeight={HEIGHT}\nimExt=.jpg\n"
    )
    np.savez(folder / "embeddings.npz", embedding=np.concatenate(vectors))
    return len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scenes", type=int, default=6, help="of each split")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--frames", action="store_true", help="write the pictures too")
    args = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no crops at {DATA}; set REACQUIRE_DATA to the data folder")
    for split in SPLITS:
        for number in range(1, args.scenes + 1):
            started = time.process_time()
            folder = args.out / split / f"reentry-{split}-{number:02d}"
            boxes = write(folder, split, number, args.seconds, args.frames)
            print(f"{folder}: {boxes} detections, {time.process_time() - started:.1f} s of CPU time", flush=True)


if __name__ == "__main__":
    main()
