"""What was seen, kept: the same back, and nothing that is damaged or out of date."""

import numpy as np
import pytest

from tracker.benchmark.cache import EMBED_FROM, Cache, CacheError, embedded_from
from tracker.benchmark.dataset import find_dataset
from tracker.benchmark.perceive import SequenceCache
from tracker.benchmark.replay import replay
from tracker.config import load_pipeline_settings, load_recipe
from tracker.errors import ConfigError


class Quiet:
    def __init__(self):
        self.lines = []

    def __call__(self, stage, done):
        pass

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def settings():
    return load_pipeline_settings("default", ["detector.weights=public"], tracker="bytetrack")


@pytest.fixture
def filled(small, settings, tmp_path):
    """A sequence, what was seen in it, and its entry in the cache."""
    sequence = find_dataset(small, names=("one",))[0]
    cache = Cache(tmp_path / "cache")
    seen = SequenceCache(settings, cache).fill(sequence, embed=False, cameras=[], report=Quiet())
    return sequence, seen, cache.entry(sequence, settings)


def test_detections_come_back_as_they_are_in_the_file(filled):
    sequence, seen, _ = filled
    rows = np.loadtxt(sequence.public, delimiter=",")
    assert len(seen) == 40
    np.testing.assert_allclose(seen.xyxy[:, :2], rows[:, 2:4], rtol=1e-6)
    np.testing.assert_allclose(seen.xyxy[:, 2:] - seen.xyxy[:, :2], rows[:, 4:6], atol=1e-4)
    for frame in range(40):
        assert len(seen.detections(frame)) == (rows[:, 0] == frame + 1).sum()


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_is_refused_and_made_again(filled, settings, damage):
    sequence, seen, entry = filled
    path = entry.path("detections")
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] if damage == "cut" else whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])
    with pytest.raises(CacheError, match="damaged or cut off"):
        entry.load(embed=False, cameras=[])
    told = Quiet()
    again = SequenceCache(settings, Cache(entry.folder)).fill(sequence, embed=False, cameras=[], report=told)
    assert "made again" in told.lines[0]
    np.testing.assert_array_equal(again.xyxy, seen.xyxy)


def test_other_frames_are_noticed(filled, settings):
    sequence, _, entry = filled
    info = sequence.folder / "seqinfo.ini"
    info.write_text(info.read_text().replace("imWidth=320", "imWidth=321"))
    changed = find_dataset(sequence.folder)[0]
    with pytest.raises(CacheError, match=r"no detections of one .train. of these frames: they have changed"):
        Cache(entry.folder).entry(changed, settings).load(embed=False, cameras=[])


def test_other_pictures_are_noticed(make_sequence, settings, tmp_path):
    folder = make_sequence(tmp_path / "set/s", frames=9, pictures=True)
    sequence, cache = find_dataset(folder)[0], Cache(tmp_path / "cache")
    SequenceCache(settings, cache).fill(sequence, embed=False, cameras=["flow"], report=Quiet())
    assert cache.entry(sequence, settings).load(embed=False, cameras=["flow"]).motions["flow"].shape == (9, 2, 3)
    frames = folder / "img1"
    (frames / "000005.jpg").write_bytes((frames / "000008.jpg").read_bytes())
    with pytest.raises(CacheError, match="of these frames: they have changed"):
        cache.entry(sequence, settings).load(embed=False, cameras=["flow"])
    SequenceCache(settings, cache).fill(sequence, embed=False, cameras=["flow"], report=Quiet())
    assert cache.entry(sequence, settings).load(embed=False, cameras=["flow"])


def test_sequences_of_one_name_in_two_data_sets_do_not_meet(make_sequence, settings, tmp_path):
    cache = Cache(tmp_path / "cache")
    for frames in (9, 12):
        sequence = find_dataset(make_sequence(tmp_path / f"set{frames}/s", frames=frames))[0]
        SequenceCache(settings, cache).fill(sequence, embed=False, cameras=[], report=Quiet())
    for frames in (9, 12):
        sequence = find_dataset(tmp_path / f"set{frames}/s")[0]
        assert len(cache.entry(sequence, settings).load(embed=False, cameras=[])) == frames


def test_a_recipe_that_looks_at_less_sure_detections_has_them_embedded(settings):
    looks = load_pipeline_settings("default", [], tracker="strongsort")
    low = load_pipeline_settings("default", ["tracker.birth.score=0.02"], tracker="strongsort")
    assert embedded_from(looks) == embedded_from(settings) == EMBED_FROM
    assert embedded_from(low) == 0.02


def test_looks_that_were_not_embedded_are_refused(filled):
    sequence, seen, _ = filled
    low = load_recipe("strongsort", ["birth.score=0.02"])
    with pytest.raises(ConfigError, match=r"compares looks from score 0.02 up, embedded are those from 0.1 up"):
        next(replay(low, seen, sequence))


def test_other_detections_are_another_entry(filled, settings):
    sequence, _, entry = filled
    sequence.public.write_text(sequence.public.read_text().replace("0.9", "0.8"))
    other = Cache(entry.folder).entry(sequence, settings)
    assert other.path("detections") != entry.path("detections")
    with pytest.raises(CacheError, match=r"no detections of one .train. by this detector; there are those of: public"):
        other.load(embed=False, cameras=[])


def test_settings_of_the_detector_count(filled, settings):
    sequence, _, entry = filled
    detector = settings.detector.model_copy(update={"score": 0.5})
    other = Cache(entry.folder).entry(sequence, settings.model_copy(update={"detector": detector}))
    assert other.path("detections") != entry.path("detections")


def test_nothing_half_written_is_left(small, settings, tmp_path):
    sequence = find_dataset(small, names=("one",))[0]
    sequence.public.write_text("1,-1,not,a,number,1,1\n")
    with pytest.raises(ValueError, match="expected a number"):
        SequenceCache(settings, Cache(tmp_path / "cache")).fill(sequence, embed=False, cameras=[], report=Quiet())
    assert not list((tmp_path / "cache").iterdir())


def test_detections_of_another_sequence_are_told(small, settings, tmp_path):
    sequence = find_dataset(small, names=("one",), split="train-half")[0]
    inputs = SequenceCache(settings, Cache(tmp_path / "cache"))
    sequence.public.write_text(sequence.public.read_text() + f"{sequence.whole + 1},-1,10,10,20,20,0.9,-1,-1,-1\n")
    with pytest.raises(ValueError, match=rf"det\.txt, line \d+ .*the sequence has only {sequence.whole} frames"):
        inputs.fill(sequence, embed=False, cameras=[], report=Quiet())
