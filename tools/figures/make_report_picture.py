"""Make `docs/images/report.png`: two drawn scenes are tracked, and the report on them is photographed in Chromium.

python -m tools.figures.make_report_picture [--keep FOLDER]     # needs playwright and Debian's chromium
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from tracker import Detections, load_tracker
from tracker.evaluation.report import write_report

SIZE, FRAMES, RATE = (640, 360), 220, 25
SEEN = 0.45
"""Share of a figure that must be seen for it to be detected."""
SKIN = (150, 180, 215)


class Walker:
    """A figure that walks to and fro at one depth.

    Args:
        rng: where its clothes and its way come from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.height = rng.uniform(70, 150)
        self.foot = 120 + 1.45 * self.height
        self.start, self.speed = rng.uniform(40, 600), rng.choice([-1, 1]) * rng.uniform(0.7, 2.2)
        self.coat, self.legs = (tuple(int(v) for v in rng.integers(30, 220, 3)) for _ in range(2))
        self.phase = rng.uniform(0, 6)

    def box(self, frame: int) -> np.ndarray:
        """Corners in a frame."""
        way = (self.start + self.speed * frame) % (2 * SIZE[0])
        x = way if way < SIZE[0] else 2 * SIZE[0] - way
        return np.array([x - 0.19 * self.height, self.foot - self.height, x + 0.19 * self.height, self.foot])

    def draw(self, image: np.ndarray, frame: int) -> None:
        """Legs, coat, head."""
        x1, y1, x2, y2 = self.box(frame)
        middle, h = (x1 + x2) / 2, self.height
        stride = 0.13 * h * np.sin(frame * abs(self.speed) / 5 + self.phase)
        hip = (int(middle), int(y1 + 0.52 * h))
        for side in (-1, 1):
            cv2.line(
                image, hip, (int(middle + side * stride), int(y2 - 2)), self.legs, max(3, int(0.1 * h)), cv2.LINE_AA
            )
        axes = (int(0.15 * h), int(0.24 * h))
        cv2.ellipse(image, (int(middle), int(y1 + 0.38 * h)), axes, 0, 0, 360, self.coat, -1, cv2.LINE_AA)
        cv2.circle(image, (int(middle), int(y1 + 0.09 * h)), int(0.085 * h), SKIN, -1, cv2.LINE_AA)


def background() -> np.ndarray:
    """A pavement before a wall, with a little texture."""
    image = np.full((SIZE[1], SIZE[0], 3), (168, 160, 150), np.uint8)
    image[:150] = (120, 128, 140)
    for x in range(20, SIZE[0], 90):
        cv2.rectangle(image, (x, 30), (x + 52, 110), (96, 88, 78), -1)
    for k in range(9):
        cv2.line(image, (SIZE[0] // 2 + (k - 4) * 60, 150), (SIZE[0] // 2 + (k - 4) * 220, SIZE[1]), (150, 142, 134), 1)
    noise = np.random.default_rng(1).normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def make_sequence(folder: Path, name: str, seed: int, walkers: int) -> None:
    """Draw one scene, detect what is seen of it, and track that."""
    rng = np.random.default_rng(seed)
    people = sorted((Walker(rng) for _ in range(walkers)), key=lambda w: w.foot)
    engine, empty = load_tracker("bytetrack", record=True), background()
    truth, result = [], []
    images = folder / "gt" / name / "img1"
    images.mkdir(parents=True)
    (folder / "results").mkdir(exist_ok=True)
    for f in range(FRAMES):
        image, owner = empty.copy(), np.full(SIZE[::-1], -1)
        for i, person in enumerate(people):
            person.draw(image, f)
            x1, y1, x2, y2 = np.clip(person.box(f), 0, [*SIZE, *SIZE]).astype(int)
            owner[y1:y2, x1:x2] = i
        found = []
        for i, person in enumerate(people):
            x1, y1, x2, y2 = box = person.box(f)
            truth.append(f"{f + 1},{i + 1},{x1:.1f},{y1:.1f},{x2 - x1:.1f},{y2 - y1:.1f},1,1,1")
            share = (owner == i).sum() / ((x2 - x1) * (y2 - y1))
            if share > SEEN and rng.random() < 0.97:
                found.append([*(box + rng.normal(0, 0.02 * person.height, 4)), min(0.95, 0.35 + 0.6 * share), 0])
        tracks = engine.update(Detections.from_array(np.reshape(found, (-1, 6))), timestamp=f / RATE)
        for track, (x1, y1, x2, y2) in zip(tracks.id, tracks.xyxy, strict=True):
            result.append(f"{f + 1},{track},{x1:.1f},{y1:.1f},{x2 - x1:.1f},{y2 - y1:.1f},1,-1,-1,-1")
        cv2.imwrite(str(images / f"{f + 1:06d}.jpg"), image)
    (folder / "gt" / name / "gt").mkdir()
    (folder / "gt" / name / "gt" / "gt.txt").write_text("\n".join(truth) + "\n")
    size = f"imWidth={SIZE[0]}\nimHeight={SIZE[1]}"
    (folder / "gt" / name / "seqinfo.ini").write_text(f"[Sequence]\nframeRate={RATE}\nseqLength={FRAMES}\n{size}\n")
    (folder / "results" / f"{name}.txt").write_text("\n".join(result) + "\n")
    pq.write_table(engine.take_record(), folder / "results" / f"{name}.explain.parquet")


def photograph(page: Path, out: Path) -> None:
    """The timeline of a sequence, and the switches under it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        tab = browser.new_page(viewport={"width": 1180, "height": 1300}, reduced_motion="reduce")
        tab.goto(page.as_uri())
        tab.select_option("#sequence", "Plaza-1")
        tab.uncheck("input[value=split]")
        tab.evaluate("document.getElementById('timeline').scrollIntoView()")
        tab.mouse.move(5, 5)
        tab.wait_for_timeout(500)
        tab.screenshot(path=str(out))
        browser.close()
    # Flat colours and small pictures: 8 bits a pixel are enough.
    image = np.asarray(cv2.imread(str(out)), np.uint8)
    coarse = np.where(image < 248, image // 8 * 8 + 4, 255).astype(np.uint8)
    cv2.imwrite(str(out), coarse, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="an empty folder for the scenes and the page")
    parser.add_argument("--out", type=Path, default=Path("docs/images/report.png"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        for name, seed, walkers in (("Plaza-1", 4, 9), ("Plaza-2", 9, 7)):
            make_sequence(folder, name, seed, walkers)
        write_report(folder / "report.html", folder / "gt", {"results": folder / "results"})
        photograph((folder / "report.html").resolve(), args.out)
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
