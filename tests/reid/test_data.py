"""Readers of data sets on small folders of each layout, and crops and their augmentation."""

from functools import partial

import cv2
import numpy as np
import pytest
import torch

from reid.data.augment import Augment, apply
from reid.data.crops import CropStore, read_crops
from reid.data.mot import mot as cut
from reid.data.published import cuhk03, dukemtmc, msmt17, veri776
from reid.data.sets import READERS, concat, folders, market1501
from reid.errors import ConfigError, DataError
from reid.train import DataSet, read
from tracker import DataError as RowsError
from tracker.cli.reid_sequences import read_people

mot = partial(cut, read=read_people)


def crop(path, value=100, size=(20, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, np.full((size[1], size[0], 3), value, np.uint8))
    assert ok
    path.write_bytes(data.tobytes())


def made(root, *names):
    for name in names:
        crop(root / name)
    return root


def test_market_names(tmp_path):
    crops = market1501(made(tmp_path, "0002_c1s1_000451_03.jpg", "-1_c3s2_000001_01.jpg", "0000_c6s1_000002_00.jpg"))
    assert crops.identity.tolist() == [-1, 0, 2]
    assert crops.camera.tolist() == [2, 5, 0]


@pytest.mark.parametrize(
    ("reader", "names"),
    [
        (
            market1501,
            {
                "bounding_box_train": "0002_c1s1_000451_03.jpg",
                "query": "0001_c2s1_000301_00.jpg",
                "bounding_box_test": "0001_c5s1_000151_01.jpg",
            },
        ),
        (
            dukemtmc,
            {
                "bounding_box_train": "0002_c1_f0046182.jpg",
                "query": "0001_c2_f0046302.jpg",
                "bounding_box_test": "0001_c5_f0046422.jpg",
            },
        ),
        (
            veri776,
            {
                "image_train": "0002_c001_00016450_0.jpg",
                "image_query": "0001_c002_00030600_0.jpg",
                "image_test": "0001_c005_00016450_0.jpg",
            },
        ),
        (
            cuhk03,
            {
                "bounding_box_train": "0001_c1_1.png",
                "query": "0000_c2_2.png",
                "bounding_box_test": "0000_c5_3.png",
            },
        ),
    ],
)
def test_an_archives_own_folders_by_split(tmp_path, reader, names):
    made(tmp_path, *(f"{folder}/{name}" for folder, name in names.items()))
    for split, identity, camera in (("train", 2, 0), ("query", 1, 1), ("gallery", 1, 4)):
        crops = reader(tmp_path, split)
        assert crops.identity.tolist() == [identity]
        assert crops.camera.tolist() == [camera]
    train, query, _ = names
    assert len(reader(tmp_path / query)) == 1  # one folder by itself needs no split
    with pytest.raises(DataError, match=f"name one of {train}, {query}"):
        reader(tmp_path)
    (tmp_path / query).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"expected {query}/ in it, found .*{train}/"):
        reader(tmp_path, "query")


@pytest.mark.parametrize("reader", [market1501, dukemtmc, veri776, cuhk03])
def test_a_name_that_does_not_fit_is_told(tmp_path, reader):
    made(tmp_path, "photo.jpg")
    with pytest.raises(DataError, match=r"photo\.jpg: expected a name like 000"):
        reader(tmp_path)


def test_cuhk03_as_extracted(tmp_path):
    """Identities are numbered anew in each of five pairs of cameras."""
    names = ("1_001_1_01.png", "1_001_2_06.png", "1_002_1_01.png", "2_001_1_01.png")
    crops = cuhk03(made(tmp_path / "images_labeled", *names))
    assert len(set(crops.identity.tolist())) == 3
    assert crops.identity[0] == crops.identity[1]
    assert crops.camera.tolist() == [0, 1, 0, 2]
    made(tmp_path / "images_detected", *names)
    with pytest.raises(DataError, match="show the same people; name one of images_labeled, images_detected"):
        cuhk03(tmp_path)
    made(tmp_path / "images_detected", "x.png")
    with pytest.raises(DataError, match=r"x\.png: expected a name like 1_001_1_01"):
        cuhk03(tmp_path / "images_detected")


@pytest.mark.parametrize("version", ["{}", "mask_{}_v2"])
def test_msmt17_by_its_lists(tmp_path, version):
    name = "0303morning_0008_0.jpg"
    lists = {
        "train": [f"0000/0000_000_01_{name} 0", f"0001/0001_000_15_{name} 1"],
        "val": [f"0000/0000_001_03_{name} 0"],
        "query": [f"0000/0000_002_02_{name} 0"],
        "gallery": [f"0000/0000_003_05_{name} 0"],
    }
    for kind, lines in lists.items():
        folder = version.format("train" if kind in ("train", "val") else "test")
        made(tmp_path / folder, *(line.split()[0] for line in lines))
        (tmp_path / f"list_{kind}.txt").write_text("\n".join(lines) + "\n")
    train = msmt17(tmp_path, "train")
    assert train.identity.tolist() == [1, 2, 1]
    assert train.camera.tolist() == [0, 14, 2]
    assert msmt17(tmp_path, "query").camera.tolist() == [1]
    assert msmt17(tmp_path, "gallery").identity.tolist() == [1]
    with pytest.raises(DataError, match="read by its lists; give the top folder and a split"):
        msmt17(tmp_path)
    (tmp_path / "list_query.txt").write_text("a photo 1\n")
    with pytest.raises(DataError, match=r"list_query\.txt, line 1: expected"):
        msmt17(tmp_path, "query")
    (tmp_path / "list_query.txt").write_text("0009/0009_000_01_x.jpg 9\n")
    with pytest.raises(DataError, match=r"0009_000_01_x\.jpg: named by .*'s lists, but not there"):
        msmt17(tmp_path, "query")


def test_msmt17_says_what_it_expected(tmp_path):
    made(tmp_path, "photos/1.jpg")
    with pytest.raises(DataError, match=r"expected list_train\.txt and a folder train/ or mask_train_v2/.* photos/"):
        msmt17(tmp_path, "train")


def test_plain_folders(tmp_path):
    crops = folders(made(tmp_path, "anna/1.jpg", "anna/2_c2.jpg", "ben/x.png"))
    anna, again, ben = crops.identity.tolist()
    assert anna == again != ben
    assert min(anna, ben) > 0
    assert crops.camera.tolist() == [-1, 1, -1]
    crop(tmp_path / "abe/1.jpg")
    assert folders(tmp_path).identity.tolist()[1:] == [anna, again, ben]  # whoever else is there


def test_plain_folders_without_identities_are_refused(tmp_path):
    made(tmp_path, "1.jpg")
    with pytest.raises(DataError, match="one folder an identity"):
        folders(tmp_path)


@pytest.mark.parametrize("name", [name for name in READERS if name not in ("msmt17", "mot")])
def test_missing_and_empty_folders(tmp_path, name):
    with pytest.raises(DataError, match="no such folder"):
        READERS[name](tmp_path / "none")
    with pytest.raises(DataError, match="no images in it"):
        READERS[name](tmp_path)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def sequence(root, rows, frames=6):
    """Frames of grey 20 × number, with ground truth."""
    for frame in range(1, frames + 1):
        crop(root / "img1" / f"{frame:06d}.jpg", value=20 * frame, size=(80, 60))
    (root / "gt").mkdir(parents=True, exist_ok=True)
    (root / "gt/gt.txt").write_text("".join(f"{row}\n" for row in rows))
    return root


def test_mot_sequences_are_cut_by_their_ground_truth(tmp_path, cache):
    rows = [
        *(f"{frame},1,{10 + frame},5,20,40,1,1,0.9" for frame in range(1, 7)),
        "1,2,50,5,20,40,0,1,1",  # flag 0: not considered
        "1,3,50,5,20,40,1,3,1",  # class 3: a car
        "1,4,50,5,20,40,1,1,0.1",  # hidden
        "1,5,70,-10,30,40,1,1,1",  # reaches out of the picture
        "2,6,1,1,4,4,1,1,1",  # too small to show anything
    ]
    sequence(tmp_path / "A", rows)
    crops = mot(tmp_path / "A", every=2)
    assert crops.identity.tolist() == [1, 1, 1, 2]
    assert (crops.camera == -1).all()
    assert [p.stem for p in crops.paths] == ["000001", "000003", "000005", "000001"]
    images = [cv2.imread(str(p)) for p in crops.paths]
    assert images[0].shape == (40, 20, 3)
    assert images[3].shape == (30, 10, 3)  # what is inside; corners count from 0, as everywhere
    assert [round(i.mean() / 20) for i in images[:3]] == [1, 3, 5]  # each from its own frame


def test_mot_crops_are_cut_once(tmp_path, cache):
    sequence(tmp_path / "A", ["1,1,10,5,20,40,1,1,1", "2,1,10,5,20,40,1,1,1"])
    first = mot(tmp_path / "A", every=1)
    times = [p.stat().st_mtime_ns for p in first.paths]
    assert [p.stat().st_mtime_ns for p in mot(tmp_path / "A", every=1).paths] == times
    assert len(mot(tmp_path / "A", every=5)) == 1  # other settings, other crops
    assert all(cache in p.parents for p in first.paths)


def test_several_mot_sequences_keep_their_ids_apart(tmp_path, cache, monkeypatch):
    monkeypatch.setitem(READERS, "mot", mot)
    for name in ("A", "B"):
        sequence(tmp_path / "train" / name, ["1,7,10,5,20,40,1,-1,-1,-1"])  # as MOT15 has it: world coordinates
    assert mot(tmp_path / "train").identity.tolist() == [1, 2]
    assert read(DataSet(format="mot", path=str(tmp_path / "train"), every=3)).identity.tolist() == [1, 2]


def test_mot_says_what_it_expected(tmp_path, cache):
    made(tmp_path, "photos/1.jpg")
    with pytest.raises(DataError, match=r"expected gt/gt\.txt and img1/, or folders with them, found .*photos/"):
        mot(tmp_path)
    sequence(tmp_path / "A", ["1,1,10,5,20,40,1,1,1", "one,1,10"])
    with pytest.raises(RowsError, match=r"gt\.txt, line 2: expected frame,id,left"):
        mot(tmp_path / "A")
    sequence(tmp_path / "A", ["9,1,10,5,20,40,1,1,1"])
    with pytest.raises(DataError, match=r"names frame 9, but img1/000009\.jpg is not there"):
        mot(tmp_path / "A")
    sequence(tmp_path / "A", ["1,1,10,5,20,40,0,1,1"])
    with pytest.raises(DataError, match="no box with flag 1"):
        mot(tmp_path / "A")
    assert not list(cache.rglob("*.jpg"))  # nothing half made is left


def test_mot_sequences_need_a_reader(tmp_path):
    with pytest.raises(ConfigError, match="read by the command line"):
        READERS["mot"](tmp_path)


def test_mot_frames_lie_where_the_sequence_says(tmp_path, cache):
    sequence(tmp_path / "A", ["\ufeffframe id x y w h flag class visibility", "1 3 10 5 20 40 1 1 1"])
    (tmp_path / "A/img1").rename(tmp_path / "A/frames")
    (tmp_path / "A/seqinfo.ini").write_text("[Sequence]\nimDir=frames\n")
    assert mot(tmp_path / "A").identity.tolist() == [1]


def test_a_real_sequence(campus, cache):
    crops = mot(campus, every=10)
    assert len(set(crops.identity.tolist())) == 8
    assert 30 < len(crops) < 60
    assert read_crops(crops.paths, (64, 32)).shape[1:] == (3, 64, 32)


def test_together_keeps_identities_and_cameras_apart(tmp_path):
    for folder in ("a", "b"):
        made(tmp_path / folder, "0001_c1.jpg", "0007_c2.jpg", "-1_c1.jpg", "0000_c1.jpg")
    made(tmp_path / "c", "x/1.jpg", "y/2_c1.jpg")
    crops = concat([market1501(tmp_path / "a"), folders(tmp_path / "c"), market1501(tmp_path / "b")])
    parts = [set(crops.identity[i : i + 2].tolist()) for i in (0, 2, 4)]
    assert parts == [{0, 1}, {2, 3}, {4, 5}]
    assert crops.camera.tolist() == [0, 1, -1, 2, 3, 4]


def test_the_first_identities_alone(tmp_path):
    crops = market1501(made(tmp_path, *(f"{i:04d}_c1_{k}.jpg" for i in (0, 3, 5, 9) for k in range(2))))
    assert crops.first(2).identity.tolist() == [0, 0, 3, 3, 5, 5]
    assert len(crops.first(99)) == len(crops)


def test_real_sets(data):
    train = [
        DataSet(path=str(data / "reid/market1501/train")),
        DataSet(format="cuhk03", path=str(data / "reid/cuhk03/train")),
    ]
    sets = [read(d, "train") for d in train]
    assert [len(s) for s in sets] == [9401, 7239]
    assert [len(set(s.identity.tolist())) for s in sets] == [551, 743]
    assert len(set(concat(sets).identity.tolist())) == 1294


def test_crops_are_read_as_rgb(tmp_path):
    image = np.zeros((40, 20, 3), np.uint8)
    image[..., 2] = 200  # red in OpenCV's order
    cv2.imwrite(str(tmp_path / "red.png"), image)
    crops = read_crops([tmp_path / "red.png"], (32, 16))
    assert crops.shape == (1, 3, 32, 16)
    assert crops[0, :, 0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("content", [b"no", b""])
def test_an_unreadable_crop_is_named(tmp_path, content):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.jpg: not a readable image"):
        read_crops([tmp_path / "bad.jpg"], (32, 16))


def test_crops_beyond_memory_are_read_when_they_are_asked_for(tmp_path):
    made(tmp_path, *(f"{i}.png" for i in range(9)))
    for i in range(9):
        crop(tmp_path / f"{i}.png", value=10 * i)
    paths = [tmp_path / f"{i}.png" for i in range(9)]
    held, anew = (CropStore(paths, (32, 16), memory=m) for m in (1e6, 1e3))
    assert held.held is not None
    assert anew.held is None
    parts = [np.array(p) for p in ([3, 1], [8], [0, 0, 7], [4], [5])]
    for store in (held, anew):
        got = list(store.batches(parts))
        assert [g[:, 0, 0, 0].tolist() for g in got] == [(10 * p).tolist() for p in parts]


def views(**kept):
    """Only one kind of change, strongly."""
    options = dict.fromkeys(("flip", "shift", "zoom", "colour", "erase", "coarse"), 0.0) | kept
    batch = torch.rand(64, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    return batch, Augment(**options, generator=torch.Generator().manual_seed(1))(batch.clone())


def test_without_any_change_crops_stay_as_they_are():
    batch, seen = views()
    torch.testing.assert_close(seen, batch, atol=1e-5, rtol=0)


def test_flips_are_mirror_images():
    batch, seen = views(flip=0.5)
    kept = (seen - batch).abs().amax((1, 2, 3)) < 1e-4
    mirrored = (seen - batch.flip(3)).abs().amax((1, 2, 3)) < 1e-4
    assert (kept ^ mirrored).all()
    assert 15 < int(mirrored.sum()) < 49
    batch, seen = views(flip=1.0)
    torch.testing.assert_close(seen, batch.flip(3), atol=1e-4, rtol=0)


def test_erased_rectangles_are_noise_and_the_rest_stays():
    batch, seen = views(erase=1.0)
    changed = ((seen - batch).abs() > 1e-4).any(1)
    share = changed.float().mean((1, 2))
    assert (share > 0).all()
    assert share.max() < 0.4
    for picture in changed:
        rows, columns = picture.any(1), picture.any(0)
        assert picture[rows][:, columns].float().mean() > 0.95  # a rectangle


def test_shifts_move_no_farther_than_told():
    x = torch.zeros(50, 1, 40, 40)
    x[:, :, 20, 20] = 1.0
    seen = Augment(flip=0, zoom=0, colour=0, erase=0, coarse=0, shift=0.1, generator=torch.Generator().manual_seed(0))(
        x.expand(50, 3, 40, 40).clone()
    )
    where = seen[:, 0].flatten(1).argmax(1)
    rows, columns = where // 40 - 20, where % 40 - 20
    assert max(rows.abs().max(), columns.abs().max()) <= 4
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) > 20


def test_colour_and_resolution_change():
    batch, coloured = views(colour=0.3)
    assert (coloured.mean((1, 2, 3)) / batch.mean((1, 2, 3)) - 1).abs().max() > 0.15
    batch, coarse = views(coarse=1.0)
    detail = [(x[:, :, 1:] - x[:, :, :-1]).abs().mean() for x in (batch, coarse)]
    assert detail[1] < 0.6 * detail[0]


def test_tint_changes_the_channels_apart_and_gamma_the_middle():
    batch, tinted = views(tint=0.3)
    factor = (tinted.clamp(1e-3, 0.999) / batch).flatten(2).median(2).values
    assert (factor.amax(1) / factor.amin(1)).max() > 1.2
    assert factor.min() > 0.69
    assert factor.max() < 1.31
    batch, bent = views(gamma=0.5)
    exponent = (bent.log() / batch.clamp(1e-4, 1).log())[:, :, 4:20].flatten(1).median(1).values
    assert exponent.min() > 0.6
    assert exponent.max() < 1.66
    assert exponent.max() - exponent.min() > 0.5


def test_grey_patches_have_no_colour_and_now_and_then_all_has_none():
    batch, seen = views(grey=1.0)
    changed = ((seen - batch).abs() > 1e-4).any(1)
    grey = (seen.amax(1) - seen.amin(1)) < 1e-4
    assert (grey | ~changed).all()
    share = grey.float().mean((1, 2))
    assert (share > 0).all()
    assert 1 <= int((share == 1).sum()) < 20
    assert share[share < 1].max() < 0.4


def test_new_changes_leave_what_was_drawn_before_them_as_it_was():
    size = (32, 16)
    plain, more = (
        Augment(**options, generator=torch.Generator().manual_seed(3)).draw(12, size)
        for options in ({}, {"tint": 0.2, "gamma": 0.2, "grey": 0.5})
    )
    for name in ("move", "coarse", "colour", "erased", "noise"):
        assert torch.equal(getattr(plain, name), getattr(more, name))


def test_all_that_is_drawn_but_the_noise_is_the_same_wherever_noise_is_drawn():
    """Another device's noise comes from another generator; here one that has moved on stands for it."""
    options = {"tint": 0.2, "gamma": 0.2, "grey": 0.5, "coarse": 0.5}
    here, there = (Augment(**options, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    torch.rand(7, generator=there._noise)
    for _ in range(3):
        first, second = here.draw(12, (32, 16)), there.draw(12, (32, 16))
        assert not torch.equal(first.noise, second.noise)
        for name in set(first._fields) - {"noise"}:
            assert torch.equal(getattr(first, name), getattr(second, name)), name


def test_queries_and_held_out_identities_of_a_set_without_them(tmp_path):
    names = [f"{identity:04d}_c{camera}_{n}.png" for identity in (3, 5, 9) for camera in (1, 2) for n in range(3)]
    made(tmp_path, *names)
    whole = market1501(tmp_path)
    assert set(whole.first(1).identity) == {3}
    assert set(whole.without(1).identity) == {5, 9}
    queries = whole.without(1).per_camera(2)
    assert [p.name for p in queries.paths] == [n for n in names if n[:4] != "0003" and n[-5] != "2"]


def test_augmentation_keeps_shape_range_and_seed():
    batch = torch.rand(12, 3, 32, 16)
    first, again = (Augment(generator=torch.Generator().manual_seed(3))(batch.clone()) for _ in range(2))
    assert first.shape == batch.shape
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, Augment(generator=torch.Generator().manual_seed(4))(batch.clone()))


def test_a_part_of_the_views_is_what_the_whole_does_to_it():
    """So that several processes see what one would."""
    batch = torch.rand(12, 3, 32, 16)
    drawn = Augment(generator=torch.Generator().manual_seed(3)).draw(12, (32, 16))
    rows = slice(4, 9)
    torch.testing.assert_close(apply(batch[rows].clone(), drawn.part(rows)), apply(batch.clone(), drawn)[rows])
