"""MOTChallenge's text files: what is read of a damaged one is what a careful person would read in it."""

import numpy as np
from mutate import byte_mutations, check, text_mutations

from tracker.evaluation.mot import read_result

RESULT = "".join(f"{frame},{i},{10 * i + frame},20.5,30,60.25,0.9,-1,-1,-1\n" for frame in range(1, 6) for i in (1, 2))


def boxes_can_be(boxes, content):
    assert np.isfinite(boxes.xyxy).all()
    assert (boxes.xyxy[:, 2:] >= boxes.xyxy[:, :2]).all()
    assert (boxes.frame >= 1).all()
    assert len(set(zip(boxes.frame.tolist(), boxes.id.tolist(), strict=True))) == len(boxes)


def test_results(tmp_path):
    mutations = [*text_mutations(RESULT, 300), *byte_mutations(RESULT.encode(), 200)]
    accepted, refused = check(read_result, tmp_path / "a.txt", iter(mutations), boxes_can_be)
    assert accepted > 50
    assert refused > 50
