"""Training of the bundled embedder: views and vectors belong together, terms say what they mean, it goes on."""

import importlib
import json

import cv2
import numpy as np
import pytest
import torch
import yaml

from reid import load_embedder
from reid.errors import TrainingError
from reid.load import read_about, read_network
from reid.models import create_model
from reid.weights_file import Preprocessing, save_weights

STILL = dict.fromkeys(
    ("shift", "scale", "loose", "colour", "tint", "gamma", "mixed", "hue", "grey", "far", "blur", "packed", "noise"),
    0.0,
)


@pytest.fixture
def load(tools):
    return lambda name: importlib.import_module(f"tools.training.embedder.{name}")


@pytest.fixture
def people(load):
    """Six people of two sources, each of one colour on grey; two of them are nobody's."""
    colours = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (0, 255, 255), (255, 0, 255), (255, 255, 0)]
    made = []
    for number, colour in enumerate(colours):
        image = np.full((100, 60, 3), 128, np.uint8)
        image[20:80, 20:40] = colour
        source, identity = ("one", 1 + number // 2) if number < 4 else ("two", 1 if number == 4 else -1)
        made.append(load("people").Person(image, np.float32([20, 20, 40, 80]), source, identity))
    return made


class ByColour:
    """Says the mean colour of a crop, in eight dimensions."""

    batch = 64

    def __call__(self, crops):
        mean = crops.reshape(len(crops), -1, 3).mean(1) / 255
        vectors = np.concatenate([mean, 1 - mean, mean[:, :2] * 0 + 0.1], 1)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture
def folder(load, people, tmp_path, monkeypatch):
    """Two small shards."""
    shards = load("shards")
    monkeypatch.setattr(shards, "SHARD", 128)
    out = tmp_path / "views"
    out.mkdir()
    shards.write_people(out, people)
    for number in (0, 1):
        shards.make_shard(out, number, people, ByColour(), load("views").Chance(hue=0.3, colour=0.1))
    return out


def test_a_view_without_chance_is_the_box_or_its_mirror_image(load, people):
    views = load("views")
    for seed in range(4):
        seen, worse, own = views.render(people[0], None, views.Chance(**STILL), np.random.default_rng(seed))
        assert seen.shape == (256, 128, 3)
        assert worse.shape == (128, 64, 3)
        assert own
        # Half a pixel of the picture around is 2 of 256 rows: what is inside is the person alone.
        np.testing.assert_allclose(seen[4:-4, 4:-4].reshape(-1, 3).mean(0), [0, 0, 255], atol=1)
        np.testing.assert_array_equal(worse[4:-4, 4:-4], seen[::2, ::2][4:-4, 4:-4])


def test_a_box_that_is_off_shows_the_surroundings_and_not_another_place(load, people):
    views = load("views")
    chance = views.Chance(**STILL | {"loose": 1.0})
    shares = []
    for seed in range(40):
        seen, _, _ = views.render(people[0], None, chance, np.random.default_rng(seed))
        shares.append((seen[:, :, 2] > 200).mean())
    assert min(shares) > 1 / 1.5**2 - 0.03  # the largest box holds the person once in 1.5 x 1.5
    assert max(shares) > 0.98  # legs hidden: nothing but the person


def test_mirror_image_is_the_same_picture_seen_from_behind_the_glass(load):
    views, person = load("views"), load("people").Person
    image = np.zeros((128, 64, 3), np.uint8)
    image[:, :32] = 255
    left = [
        views.boxed(person(image, np.float32([0, 0, 64, 128]), "s", 1), views.Chance(**STILL), np.random.default_rng(s))
        for s in range(20)
    ]
    sides = {(bool(view[:, :60].min() > 250), bool(view[:, 68:].min() > 250)) for view in left}
    assert sides == {(True, False), (False, True)}


@pytest.mark.parametrize("change", ["far", "blur", "packed", "noise"])
def test_what_a_poor_camera_does_the_student_sees_alone(load, change):
    views, person = load("views"), load("people").Person
    noise = np.random.default_rng(0).integers(0, 255, (128, 64, 3), dtype=np.uint8)
    somebody = person(noise, np.float32([0, 0, 64, 128]), "s", 1)
    plain, poor = views.Chance(**STILL), views.Chance(**STILL | {change: 1.0})
    good = views.boxed(somebody, plain, np.random.default_rng(1))
    np.testing.assert_array_equal(views.coloured(good, poor, np.random.default_rng(2)), good)
    changed = views.worse(good, poor, np.random.default_rng(3)).astype(int)
    assert np.abs(changed - views.worse(good, plain, np.random.default_rng(3))).mean() > 1


def test_other_hues_are_other_clothes_and_nobodys(load, people):
    views = load("views")
    seen, _, own = views.render(people[0], None, views.Chance(**STILL | {"hue": 1.0}), np.random.default_rng(5))
    assert not own
    middle = seen[128, 64].astype(int)
    assert middle.max() >= 254
    assert middle.min() <= 1
    assert middle[2] < 255 or middle[:2].max() > 0  # as strong a colour, another one


def test_two_people_in_one_view_are_nobody_and_each_is_where_they_belong(load, people):
    views = load("views")
    one, other = people[0], next(p for p in people if p.identity != people[0].identity)
    chance = views.Chance(**STILL)
    above, below = (views.render(p, None, chance, np.random.default_rng(1))[0][8:-8, 8:-8] for p in (one, other))
    for seed in range(8):
        seen, _, own = views.render(one, other, chance, np.random.default_rng(seed))
        seen = seen[8:-8, 8:-8]
        assert not own
        np.testing.assert_allclose(seen[:10].mean((0, 1)), above[:10].mean((0, 1)), atol=3)
        np.testing.assert_allclose(seen[-10:].mean((0, 1)), below[-10:].mean((0, 1)), atol=3)


def test_people_are_cut_with_surroundings_and_their_box_stays_on_them(load):
    cut = load("people").cut
    image = np.zeros((800, 600, 3), np.uint8)
    image[100:700, 200:400] = 255
    person = cut(image, np.float32([200, 100, 400, 700]), "s")
    assert person.box[3] - person.box[1] == pytest.approx(288)
    left, top, right, bottom = person.box.round().astype(int)
    assert person.image[top + 2 : bottom - 2, left + 2 : right - 2].min() > 250
    outside = person.image.copy()
    outside[top - 2 : bottom + 2, left - 2 : right + 2] = 0
    assert outside.max() < 5
    assert person.image.shape[1] > 1.5 * (right - left)
    assert cut(image, np.float32([0, 0, 20, 31]), "s") is None


def test_shards_show_everybody_in_turn_and_the_same_again(load, people, folder):
    shards = load("shards")
    order = np.concatenate([shards.choose(people, n) for n in range(3)])
    assert len(order) == 3 * 128
    for start in range(0, len(order) - len(people), len(people)):
        assert sorted(order[start : start + len(people)]) == list(range(len(people)))
    before = (folder / "views-0001.npy").read_bytes()
    shards.make_shard(folder, 1, people, ByColour(), load("views").Chance(hue=0.3, colour=0.1))
    assert (folder / "views-0001.npy").read_bytes() == before


def test_views_know_their_vector_and_their_identity(load, people, folder):
    shards = load("shards")
    views = shards.read_views(folder, shards.shards_in(folder))
    assert len(views) == 256
    assert len(np.unique(views.identity)) == 4  # two of the first source, one of the second, nobody
    own = np.load(folder / "own-0000.npy")
    assert 0.3 < own.mean() < 0.65  # seven tenths keep their hues, two thirds are one person
    assert set(views.identity[:128][~own]) == {-1}
    assert set(views.identity[views.person == 5]) == {-1}
    # The student's pixels are of the view that the vector is of: their colours agree.
    mean = views[np.arange(256)].reshape(256, -1, 3).mean(1) / 255
    said = views.teacher[:, :3] / views.teacher[:, 6:7].astype(np.float32) * 0.1
    assert np.corrcoef(mean.ravel(), said.ravel())[0, 1] > 0.95


def test_left_out_people_are_in_no_view_and_the_rest_keep_their_pixels(load, people, folder):
    shards = load("shards")
    every, some = (shards.read_views(folder, [0, 1], without=names) for names in ((), ("one",)))
    assert set(some.person) == {4, 5}
    below = np.concatenate([np.load(folder / f"below-{n:04}.npy") for n in (0, 1)])
    assert (np.isin(below, [0, 1, 2, 3]) & np.isin(every.person, [4, 5])).any()
    kept = np.flatnonzero(np.isin(every.person, [4, 5]) & np.isin(below, [4, 5]))
    np.testing.assert_array_equal(some[np.arange(len(some))], every[kept])
    np.testing.assert_array_equal(some.teacher, every.teacher[kept])


def test_a_shard_without_views_is_not_whole(load, folder):
    (folder / "views-0001.npy").unlink()
    assert load("shards").shards_in(folder) == [0]


def test_other_people_need_another_folder(load, people, folder):
    with pytest.raises(ValueError, match="other people"):
        load("shards").write_people(folder, people[:3])


def unit(n, dimension=16, seed=0):
    return torch.nn.functional.normalize(torch.randn(n, dimension, generator=torch.Generator().manual_seed(seed)))


def test_who_says_what_the_teacher_says_has_nothing_to_learn_from_it(load):
    objective, weights = load("objective").objective, load("objective").Weights(triplet=0.0)
    teacher, others, nobody = unit(12), unit(50, seed=1), torch.full((12,), -1)
    loss, parts = objective(teacher, teacher, others, nobody, weights)
    assert float(loss) == pytest.approx(0, abs=1e-5)
    assert parts.keys() == {"loss", "vector", "near", "within"}
    wrong, _ = objective(unit(12, seed=2), teacher, others, nobody, weights)
    assert float(wrong) > 0.5


def test_what_is_said_of_everybody_is_left_out(load):
    shared = torch.nn.functional.normalize(unit(400, seed=4) + 2 * unit(1, seed=5))
    left = load("objective").centred(shared)
    torch.testing.assert_close(left.norm(dim=1), torch.ones(400))
    assert float((shared @ shared.T).mean()) > 0.5
    assert abs(float((left @ left.T).mean())) < 0.02


def test_relations_are_kept_when_all_vectors_are_turned(load):
    """The term inside the batch sees distances alone; the vector's sees the turn."""
    objective, weights = load("objective").objective, load("objective").Weights()
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(3)))[0]
    teacher = unit(12)
    _, parts = objective(teacher @ turn, teacher, unit(50, seed=1), torch.full((12,), -1), weights)
    assert parts["within"] == pytest.approx(0, abs=1e-6)
    assert parts["vector"] > 0.5


def test_triplets_are_of_those_who_are_known(load):
    objective, weights = load("objective").objective, load("objective").Weights(vector=0, near=0, within=0, triplet=1)
    student = unit(8).requires_grad_()
    identity = torch.tensor([0, 0, 1, 1, -1, -1, -1, -1])
    loss, _ = objective(student, unit(8), unit(5), identity, weights)
    loss.backward()
    assert (student.grad[:4].norm(dim=1) > 0).all()
    assert (student.grad[4:] == 0).all()
    step = torch.nn.functional.normalize(student.detach() - 0.1 * student.grad)
    nearer = (step[0] @ step[1] + step[2] @ step[3]) - (student[0] @ student[1] + student[2] @ student[3])
    assert float(nearer.detach()) > 0


def narrow_file(path):
    torch.manual_seed(0)
    network = create_model("slimnet_ibn").eval()
    save_weights(
        path, network, backbone="slimnet_ibn", pooling="gem", preprocessing=Preprocessing((128, 64)), threshold=None
    )
    return path


def test_a_wider_network_begins_with_what_the_narrow_one_sees(load, tmp_path):
    path = narrow_file(tmp_path / "narrow.safetensors")
    wide = create_model("slimnet_ibn_wide")
    load("start").take(wide, path)
    crops = torch.rand(2, 3, 128, 64)
    with torch.no_grad():
        old = read_network(read_about(path)).backbone(crops)
        new = wide.eval().backbone(crops)
    torch.testing.assert_close(new[:, : old.shape[1]], old, atol=1e-5, rtol=1e-4)
    assert new[:, old.shape[1] :].std() > 0


@pytest.fixture
def settings(load):
    def make(**values):
        terms = load("objective").Weights(triplet=0.0)
        return load("loop").Settings(
            **{"unlabelled": 8, "identities": 2, "images": 2, "others": 32, "steps": 6, "terms": terms} | values
        )

    return make


def tiny():
    torch.manual_seed(1)
    return create_model("slimnet_x0_5", dimension=8)


def test_the_head_begins_near_the_teacher(load, folder):
    """What a mean colour says can be read linearly from random features of views, nearly."""
    views = load("shards").read_views(folder, [0, 1])
    network = tiny()
    wanted = load("objective").centred(torch.from_numpy(views.teacher.astype(np.float32)))

    def agreement():
        crops = torch.from_numpy(views[np.arange(64)]).flip(3).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            said = network.eval()(load("start").normalised(crops))
        return float((said * wanted[:64]).sum(1).mean())

    before = agreement()
    load("start").fit_head(network, views)
    assert agreement() > max(before + 0.3, 0.6)


def test_a_training_that_was_stopped_goes_on(load, folder, tmp_path, settings):
    make = load("loop").Training
    first = make(tiny(), folder, tmp_path / "out", settings(steps=3))
    first.run()
    assert first.steps == 3
    second = make(tiny(), folder, tmp_path / "out", settings())
    assert second.steps == 3
    for one, other in zip(first.average.state_dict().values(), second.average.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert second.rate > first.rate
    second.run()
    assert (second.steps, second.seen) == (6, 6 * 12)
    rows = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert [row["steps"] for row in rows] == [3, 6]


def test_it_learns_and_takes_in_shards_that_come_later(load, people, folder, tmp_path, settings):
    training = load("loop").Training(tiny(), folder, tmp_path / "out", settings(steps=40, rate=5e-3, average=0.9))
    training.run_for(0.0)
    load("shards").make_shard(folder, 2, people, ByColour(), load("views").Chance())
    training.run(every=1e9)
    first, last = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()][:2]
    assert first["vector"] > 0.3
    assert last["vector"] < 0.7 * first["vector"]
    assert training.numbers == [0, 1, 2]


def test_a_loss_that_is_no_number_ends_it(load, folder, tmp_path, settings):
    network = tiny()
    with torch.no_grad():
        network.project.weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match="the loss is nan at step 1: lower `rate`"):
        load("loop").Training(network, folder, tmp_path / "out", settings()).run()


def test_frozen_layers_stay_as_they_are(load, folder, tmp_path, settings):
    network = tiny()
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    load("loop").Training(network, folder, tmp_path / "out", settings(frozen=2, rate=1e-2)).run()
    after = network.backbone.state_dict()
    moved = {name.split(".")[1] for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved == {"2", "3", "4", "5", "6", "7"}


def test_ranks_are_across_cameras(load, tmp_path):
    judge = load("judge")
    root = tmp_path / "reid/cuhk01/train"
    root.mkdir(parents=True)
    for identity in range(1, 6):
        for camera in (1, 2):
            for number in (1, 2):
                image = np.full((16, 8, 3), 40 * identity, np.uint8)
                cv2.imwrite(str(root / f"{identity:04}_c{camera}_{number:02}.jpg"), image)
    sets = judge.judged(tmp_path, "cuhk01")
    assert (len(sets.query), len(sets.gallery)) == (10, 20)
    right = judge.ranking_of(sets, lambda crops: np.eye(8, dtype=np.float32)[crops.identity])
    assert (right.cmc[0], right.mean_ap) == (1, 1)
    by_camera = judge.ranking_of(sets, lambda crops: np.eye(8, dtype=np.float32)[crops.camera])
    assert by_camera.cmc[0] < 0.5


def test_the_command_trains_and_writes_weights_that_load(load, tools, root, folder, tmp_path, monkeypatch):
    command = importlib.import_module("tools.training.train_default_embedder")
    teacher = np.load(folder / "teacher-0000.npy")
    for number in (0, 1):  # the bundled networks have 256 dimensions
        wide = np.zeros((128, 256), np.float16)
        wide[:, :8] = teacher
        np.save(folder / f"teacher-{number:04}.npy", wide)
    recipe = {"backbone": "slimnet_x0_5", "from": "nothing", "unlabelled": 8, "identities": 2, "others": 16}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "run"
    arguments = ["train", "--config", tmp_path / "c.yaml", "--views", folder, "--out", out, "--steps", "2"]
    monkeypatch.setattr("sys.argv", ["tool", *map(str, arguments), "--term", "triplet=0.5"])
    command.main()
    assert json.loads((out / "settings.json").read_text())["terms"]["triplet"] == 0.5
    command.write(out / "last.pt", tmp_path / "w.safetensors")
    again = create_model("slimnet_x0_5")
    command.begin(again, str(tmp_path / "w.safetensors"), folder, ())
    average = command.averaged(out / "last.pt")[0].state_dict()
    for name in ("project.weight", "neck.weight"):  # what was learnt, not a head that is fitted anew
        torch.testing.assert_close(again.state_dict()[name], average[name], atol=1e-3, rtol=1e-3)
    vectors = load_embedder(str(tmp_path / "w.safetensors"), device="cpu").embed(
        np.zeros((128, 64, 3), np.uint8), np.float32([[0, 0, 64, 128]])
    )
    assert vectors.shape == (1, 256)
    assert np.isfinite(vectors).all()


def test_the_recipe_of_the_package_is_understood(load, root):
    recipe = yaml.safe_load((root / "configs/reid/distilled.yaml").read_text())
    create_model(recipe.pop("backbone"))
    assert recipe.pop("from") == "default"
    terms = load("objective").Weights(**recipe.pop("terms"))
    assert load("loop").Settings(**recipe, terms=terms).minutes > 0
