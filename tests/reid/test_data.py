import cv2
import numpy as np
import pytest
import torch

from reid.data.crops import Augment, read_crops
from reid.data.sets import folders, market1501, together
from reid.errors import DataError


def crop(path, value=100, size=(20, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, np.full((size[1], size[0], 3), value, np.uint8))
    assert ok
    path.write_bytes(data.tobytes())


def test_market_names(tmp_path):
    for name in ("0002_c1s1_000451_03.jpg", "-1_c3s2_000001_01.jpg", "0000_c6s1_000002_00.jpg"):
        crop(tmp_path / name)
    crops = market1501(tmp_path)
    assert crops.identity.tolist() == [-1, 0, 2]
    assert crops.camera.tolist() == [2, 5, 0]


def test_a_name_that_does_not_fit_is_told(tmp_path):
    crop(tmp_path / "photo.jpg")
    with pytest.raises(DataError, match=r"photo\.jpg: expected a name like 0002_c1s1"):
        market1501(tmp_path)


def test_plain_folders(tmp_path):
    for name in ("anna/1.jpg", "anna/2_c2.jpg", "ben/x.png"):
        crop(tmp_path / name)
    crops = folders(tmp_path)
    anna, again, ben = crops.identity.tolist()
    assert anna == again != ben
    assert min(anna, ben) > 0
    assert crops.camera.tolist() == [-1, 1, -1]
    crop(tmp_path / "abe/1.jpg")
    assert folders(tmp_path).identity.tolist()[1:] == [anna, again, ben]  # whoever else is there


def test_plain_folders_without_identities_are_refused(tmp_path):
    crop(tmp_path / "1.jpg")
    with pytest.raises(DataError, match="one folder an identity"):
        folders(tmp_path)


@pytest.mark.parametrize("reader", [market1501, folders])
def test_missing_and_empty_folders(tmp_path, reader):
    with pytest.raises(DataError, match="no such folder"):
        reader(tmp_path / "none")
    with pytest.raises(DataError, match="no images in it"):
        reader(tmp_path)


def test_together_keeps_identities_and_cameras_apart(tmp_path):
    for folder in ("a", "b"):
        for name in ("0001_c1.jpg", "0007_c2.jpg", "-1_c1.jpg"):
            crop(tmp_path / folder / name)
    crops = together([market1501(tmp_path / "a"), market1501(tmp_path / "b")])
    assert crops.identity.tolist() == [0, 1, 2, 3]
    assert crops.camera.tolist() == [0, 1, 2, 3]


def test_real_sets(data):
    crops = market1501(data / "reid/market1501/train")
    assert len(crops) == 9401
    assert len(set(crops.identity.tolist())) == 551


def test_crops_are_read_as_rgb(tmp_path):
    image = np.zeros((40, 20, 3), np.uint8)
    image[..., 2] = 200  # red in OpenCV's order
    cv2.imwrite(str(tmp_path / "red.png"), image)
    crops = read_crops([tmp_path / "red.png"], (32, 16))
    assert crops.shape == (1, 3, 32, 16)
    assert crops[0, :, 0, 0].tolist() == [200, 0, 0]


def test_an_unreadable_crop_is_named(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match=r"bad\.jpg: not a readable image"):
        read_crops([tmp_path / "bad.jpg"], (32, 16))


def test_augmentation_keeps_shape_range_and_seed():
    batch = torch.rand(12, 3, 32, 16)
    first, again = (Augment(generator=torch.Generator().manual_seed(3))(batch.clone()) for _ in range(2))
    assert first.shape == batch.shape
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, Augment(generator=torch.Generator().manual_seed(4))(batch.clone()))
