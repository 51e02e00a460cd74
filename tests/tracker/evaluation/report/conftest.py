"""Made sequences: objects in rows, whose tracks change at known frames."""

import cv2
import numpy as np
import pytest

SIZE = (320, 240)


def write_sequence(root, name, changes, *, frames=60, objects=4, images=False, rate=25):
    """A sequence in MOTChallenge's layout, and lines of a result that takes a new id at each ``(frame, object)``."""
    truth, result = [], []
    ids, fresh = list(range(1, objects + 1)), objects
    for f in range(1, frames + 1):
        image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        for i in range(objects):
            if (f, i) in changes:
                fresh += 1
                ids[i] = fresh
            x, y = 20 + 70 * i + f / 4, 60
            truth.append(f"{f},{i + 1},{x},{y},40,90,1,1,1")
            result.append(f"{f},{ids[i]},{x + 2},{y + 2},40,90,0.9,-1,-1,-1")
            cv2.rectangle(image, (int(x), y), (int(x) + 40, y + 90), (40, 60 * i, 200), -1)
        if images:
            (root / name / "img1").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / name / "img1" / f"{f:06d}.jpg"), image)
    (root / name / "gt").mkdir(parents=True, exist_ok=True)
    (root / name / "gt" / "gt.txt").write_text("\n".join(truth) + "\n")
    size = f"imWidth={SIZE[0]}\nimHeight={SIZE[1]}"
    (root / name / "seqinfo.ini").write_text(f"[Sequence]\nframeRate={rate}\nseqLength={frames}\n{size}\n")
    return result


@pytest.fixture
def make_run(tmp_path):
    """Sequences under `tmp_path/gt`, each with its changes; the folder of results."""

    def make(sequences, *, run="run", **options):
        for name, changes in sequences.items():
            lines = write_sequence(tmp_path / "gt", name, changes, **options)
            (tmp_path / run).mkdir(exist_ok=True)
            (tmp_path / run / f"{name}.txt").write_text("\n".join(lines) + "\n")
        return tmp_path / "gt", tmp_path / run

    return make
