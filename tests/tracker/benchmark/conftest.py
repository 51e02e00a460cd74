"""A small data set: two people who walk past each other."""

import numpy as np
import pytest


def write_sequence(folder, *, frames=40, public=True, pictures=False, seed=0, info=True):
    """Two people on straight ways, seen with a little noise; pictures are grey with a texture."""
    chance = np.random.default_rng(seed)
    truth, found = [], []
    for frame in range(1, frames + 1):
        for who, (x, speed) in enumerate(((20, 3), (200, -3)), 1):
            box = [x + speed * frame, 60 + 10 * who, 30, 80]
            truth.append([frame, who, *box, 1, 1, 1])
            found.append([frame, -1, *(np.array(box) + chance.normal(0, 1, 4)).round(2), 0.9, -1, -1, -1])
    (folder / "gt").mkdir(parents=True)
    write_rows(folder / "gt/gt.txt", truth)
    if public:
        (folder / "det").mkdir()
        write_rows(folder / "det/det.txt", found)
    if pictures:
        import cv2

        (folder / "img1").mkdir()
        ground = chance.integers(0, 255, (240, 330, 3), np.uint8)
        for frame in range(1, frames + 1):
            cv2.imwrite(str(folder / f"img1/{frame:06d}.jpg"), ground[:, frame // 2 : frame // 2 + 320])
    if info:
        (folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={folder.name}\nframeRate=25\nseqLength={frames}\nimWidth=320\nimHeight=240\n"
        )
    return folder


def write_rows(path, rows):
    path.write_text("".join(",".join(f"{v:g}" for v in row) + "\n" for row in rows))


@pytest.fixture
def make_sequence():
    return write_sequence


@pytest.fixture
def small(tmp_path):
    """`DIR/train/{one,two}` without frames."""
    for number, name in enumerate(("one", "two")):
        write_sequence(tmp_path / "small/train" / name, seed=number)
    return tmp_path / "small"
