"""A training in small: it learns, and a killed one goes on as if nothing had been."""

import csv
import itertools
import math
import os
import re
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from reid.distance import pairwise
from reid.errors import ConfigError, DataError, TrainingError, WeightsError
from reid.losses import all_triplets_loss, contrastive_loss, identity_loss, triplet_loss
from reid.miners import batch_hard
from reid.models import create_model
from reid.train import Augmentation, DataSet, Stage, Trainer, TrainSettings, read
from reid.train.health import Health
from reid.train.log import Log
from reid.train.objective import Features, Objective, precision
from reid.weights_file import Preprocessing, save_weights

ONE_EPOCH = (Stage(size=(32, 16), epochs=1),)


def log_of(folder):
    with (folder / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_learns_to_tell_colours_apart(settings_for, tmp_path):
    settings = settings_for(stages=(Stage(size=(32, 16), epochs=8),), ema_decay=0.5, warmup_epochs=2, lr=1e-3)
    Trainer(settings, tmp_path).run()
    rows = log_of(tmp_path)
    assert float(rows[-1]["identity"]) < float(rows[0]["identity"])
    assert float(rows[-1]["rank1"]) > 0.5  # one in eight by chance


class Killed(BaseException):
    """Stands for a kill: nothing catches it on its way."""


@pytest.fixture
def killed_at(settings_for, tmp_path):
    """A training of all settings' defaults that dies when a share of the work is done."""

    def start(share, **changes):
        def progress(done):
            if done > share:
                raise Killed

        with pytest.raises(Killed):
            Trainer(settings_for(**changes), tmp_path / "killed", progress=progress).run()
        return tmp_path / "killed"

    return start


@pytest.mark.parametrize("mining", ["distance_weighted", "offline"])
def test_a_training_killed_within_an_epoch_goes_on_to_the_bit(settings_for, killed_at, tmp_path, mining):
    changes = {"mining": mining, "refresh_epochs": 2, "center_weight": 0.01}
    whole = Trainer(settings_for(**changes), tmp_path / "whole").run()
    folder = killed_at(0.6, **changes)
    assert 1 <= len(log_of(folder)) < 4
    resumed = Trainer(settings_for(**changes), folder).run()
    assert log_of(tmp_path / "whole") == log_of(folder)
    assert same_weights(whole, resumed)


def test_killed_between_log_and_checkpoint_no_row_is_there_twice(settings_for, tmp_path, monkeypatch):
    whole = Trainer(settings_for(), tmp_path / "whole").run()
    trainer = Trainer(settings_for(), tmp_path / "killed")
    trainer.run_epoch()

    def killed():
        raise Killed

    monkeypatch.setattr(trainer, "_save", killed)
    with pytest.raises(Killed):
        trainer.run_epoch()
    assert len(log_of(tmp_path / "killed")) == 2  # one more than the checkpoint knows of
    resumed = Trainer(settings_for(), tmp_path / "killed").run()
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "whole")
    assert same_weights(whole, resumed)


def test_a_checkpoint_of_the_first_layout_still_goes_on(settings_for, tmp_path):
    trainer = Trainer(settings_for(), tmp_path)
    trainer.run_epoch()
    state = torch.load(trainer.checkpoint, weights_only=True)
    torch.save({k: state[k] for k in ("network", "average", "optimizer", "epoch", "updates")}, trainer.checkpoint)
    (tmp_path / "log.csv").write_text(
        "epoch,triplet,identity,easy,semi_hard,hard,spread,rank1,mAP,seconds\n1,0.6,2.1,0,0.1,0.9,0.2,,,3.5\n"
    )
    Trainer(settings_for(), tmp_path).run()
    rows = log_of(tmp_path)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[0]["triplet"] == "0.6"
    assert rows[-1]["rank1"]


def test_the_same_seed_is_the_same_training_and_another_is_not(settings_for, tmp_path):
    short = {"stages": ONE_EPOCH, "query": None, "gallery": None}
    first, again, other = (
        Trainer(settings_for(**short, seed=seed), tmp_path / name).run()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_a_checkpoint_of_another_network_is_refused(settings_for, tmp_path):
    Trainer(settings_for(stages=ONE_EPOCH), tmp_path).run()
    with pytest.raises(TrainingError, match="checkpoint of other settings or data; train into another folder"):
        Trainer(settings_for(dimension=32), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"mining": "batch_all"},
        {"mining": "semi_hard"},
        {"mining": "semi_hard", "negative": "random"},
        {"mining": "semi_hard_all", "distance": "squared"},
        {"mining": "distance_weighted"},
        {"mining": "random", "distance": "cosine", "reduction": "nonzero"},
        {"mining": "offline"},
        {"mining": "batch_hard", "margin": "soft", "triplet_feature": "raw"},
        {"triplet_weight": 0.0, "contrastive_weight": 1.0},
        {"contrastive_weight": 0.5, "center_weight": 0.01, "identity_weight": 0.5},
        {"camera_aware": True, "augment": Augmentation(flip=0, shift=0, zoom=0, colour=0, erase=0, coarse=0)},
        {"memory_gb": 0.0},
        {"amp": "bf16"},
        {"amp": "fp16"},
        {"amp": "off", "identity_weight": 0.0},
    ],
    ids=lambda c: "-".join(map(str, c)),
)
def test_every_way_of_learning_runs(settings_for, tmp_path, changes):
    trainer = Trainer(settings_for(stages=ONE_EPOCH, query=None, gallery=None, **changes), tmp_path)
    before = [p.clone() for p in trainer.learner.network.parameters()]
    trainer.run()
    (row,) = trainer.log.rows
    assert np.isfinite(row["loss"])
    assert row["all_easy"] + row["all_semi_hard"] + row["all_hard"] == pytest.approx(1)
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.learner.network.parameters(), strict=True))


def test_crops_read_batch_by_batch_are_the_same_training(settings_for, tmp_path):
    held, read_anew = (
        Trainer(settings_for(stages=ONE_EPOCH, memory_gb=gb), tmp_path / str(gb)).run() for gb in (4.0, 0.0)
    )
    assert same_weights(held, read_anew)


def test_the_sum_of_losses_is_weighted_as_the_settings_say(settings_for):
    torch.manual_seed(0)
    settings = settings_for(
        triplet_weight=0.7, contrastive_weight=0.3, identity_weight=0.5, center_weight=0.2, reduction="nonzero"
    )
    objective, labels = Objective(settings, 4), torch.arange(12) // 3
    raw, normal, logits = torch.randn(12, 16), torch.randn(12, 16), torch.randn(12, 4)
    loss, parts = objective(Features(raw, normal, logits), labels)
    distance = pairwise(nn.functional.normalize(normal))
    centers = objective.center.centers.detach()
    expected = {
        "triplet": triplet_loss(distance, batch_hard(distance, labels), margin=0.3, reduction="nonzero"),
        "contrastive": contrastive_loss(distance, labels, margin=1.0),
        "identity": identity_loss(logits, labels, smoothing=0.1),
        "center": 0.5 * (raw - centers[labels]).square().sum(1).mean(),
    }
    for name, value in expected.items():
        assert parts[name] == pytest.approx(value.item(), rel=1e-5)
    weights = {"triplet": 0.7, "contrastive": 0.3, "identity": 0.5, "center": 0.2}
    assert loss.item() == pytest.approx(sum(weights[n] * v.item() for n, v in expected.items()), rel=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "nonzero", None])
def test_what_the_mean_is_over_is_a_setting(settings_for, reduction):
    settings = settings_for(mining="batch_all", reduction=reduction, identity_weight=0.0, distance="squared")
    normal, labels = torch.randn(12, 16), torch.arange(12) // 3
    _, parts = Objective(settings, 4)(Features(normal, normal, None), labels)
    distance = pairwise(nn.functional.normalize(normal), metric="squared")
    expected = all_triplets_loss(distance, labels, margin=0.3, reduction=reduction or "nonzero")
    assert parts["triplet"] == pytest.approx(expected.loss.item(), rel=1e-5)


def test_the_centers_learn_at_their_own_rate(settings_for, tmp_path):
    trainer = Trainer(settings_for(center_weight=1e-4, center_lr=1.0), tmp_path)
    before = trainer.learner.objective.center.centers.detach().clone()
    crops, labels = torch.rand(12, 3, 32, 16), torch.arange(12) // 3
    raw = trainer.learner._forward(crops)[0].detach().float()  # statistics move, weights do not
    trainer.learner.step(crops, labels)
    gradient = torch.zeros_like(before).index_add_(0, labels, before[labels] - raw) / len(labels)
    torch.testing.assert_close(
        trainer.learner.objective.center.centers.detach(), before - gradient, rtol=1e-2, atol=1e-2
    )


def test_half_precision_is_chosen_for_the_machine(monkeypatch):
    for capable, expected in ((True, torch.bfloat16), (False, None)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda capable=capable: {"avx512_bf16": capable})
        assert precision("auto", "cpu") is expected
    for capable, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda capable=capable, **_: capable)
        assert precision("auto", "cuda:0") is expected
    assert precision("off", "cuda:0") is None


def test_the_rate_warms_up_and_falls(settings_for, tmp_path):
    trainer = Trainer(settings_for(lr=1.0), tmp_path)
    rates = [trainer.schedule.rate_at(p) for p in np.linspace(0, 1, 101)]
    assert rates[25] == pytest.approx(1.0)  # one of four epochs
    assert all(b > a for a, b in itertools.pairwise(rates[1:26]))
    assert all(b < a for a, b in itertools.pairwise(rates[25:]))
    assert rates[-1] == pytest.approx(0.01)


def test_gradients_are_clipped(settings_for, tmp_path):
    trainer = Trainer(settings_for(clip=1e-3), tmp_path)
    trainer.learner.step(torch.rand(12, 3, 32, 16), torch.arange(12) // 3)
    norms = [p.grad.norm() for p in trainer.learner.network.parameters() if p.grad is not None]
    assert torch.stack(norms).norm().item() <= 1e-3 * 1.01


def test_a_loss_that_is_no_number_stops_the_training(settings_for, tmp_path):
    trainer = Trainer(settings_for(), tmp_path)
    with torch.no_grad():
        trainer.learner.network.project.weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match="the loss is nan in epoch 1: lower `lr`"):
        trainer.run()


def test_progress_is_a_share_of_the_work(settings_for, tmp_path):
    seen = []
    trainer = Trainer(settings_for(query=None, gallery=None), tmp_path, progress=seen.append)
    trainer.run_epoch()
    trainer.run_epoch()
    # The larger pictures of the second stage take the greater part.
    assert trainer.schedule.work() == pytest.approx(32 * 16 / (32 * 16 + 48 * 24))
    trainer.run()
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)


def test_collapse_is_told(settings_for, tmp_path):
    said = []
    settings = settings_for(lr=1e-12, triplet_feature="raw", stages=ONE_EPOCH)
    trainer = Trainer(settings, tmp_path, report=said.append)
    with torch.no_grad():
        trainer.learner.network.project.weight.fill_(1.0)  # every picture in one direction
    trainer.run()
    assert any("collapsed to one point" in line for line in said)


@pytest.mark.parametrize(("margin", "floor"), [(0.3, 0.3), ("soft", math.log(2))])
def test_a_loss_that_stands_where_nothing_is_told_apart_is_told(settings_for, margin, floor):
    health = Health(settings_for(margin=margin))
    said = [health.seen({"triplet": floor * 1.005, "spread": 0.1}) for _ in range(4)]
    assert [len(s) for s in said] == [0, 0, 1, 0]
    assert "has stood at" in said[2][0]
    assert not health.seen({"triplet": floor * 0.9, "spread": 0.1})
    assert health.standing == 0


def test_a_healthy_training_is_not_warned_about(settings_for, tmp_path):
    said = []
    Trainer(settings_for(), tmp_path, report=said.append).run()
    assert not [line for line in said if "collapsed" in line or "stood" in line]


def test_the_page_is_one_file_with_all_curves(settings_for, tmp_path):
    Trainer(settings_for(), tmp_path).run()
    page = (tmp_path / "page.html").read_text()
    for title in ("Loss", "Kinds of all triplets", "Distances", "Cumulative match curve", "Validation"):
        assert title in page
    assert page.count("<svg") == 5
    for outside in ("<script", "<link", "src=", "href=", "url("):
        assert outside not in page


def test_without_validation_the_page_shows_the_training_crops(settings_for, tmp_path):
    Trainer(settings_for(query=None, gallery=None, stages=ONE_EPOCH), tmp_path).run()
    page = (tmp_path / "page.html").read_text()
    assert "48 crops that are trained on" in page
    assert "Cumulative" not in page


def test_tensorboard_has_every_figure(settings_for, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Trainer(settings_for(tensorboard=True), tmp_path).run()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("triplet")] == [1, 2, 3, 4]
    assert events.Scalars("triplet")[-1].value == pytest.approx(float(log_of(tmp_path)[-1]["triplet"]), abs=1e-4)
    assert "rank1" in events.Tags()["scalars"]


def test_tensorboard_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(ConfigError, match=r"pip install 'reacquire\[train\]'"):
        Log(tmp_path, tensorboard=True)


def weights_of(trainer, path, **changes):
    names = {"backbone": "slimnet_x0_5", "pooling": "gem"} | changes
    save_weights(path, trainer.learner.network, **names, preprocessing=Preprocessing((32, 16)), threshold=0.5)
    return str(path)


def test_a_training_may_begin_with_weights(settings_for, tmp_path):
    first = Trainer(settings_for(seed=5), tmp_path / "first")
    init = weights_of(first, tmp_path / "w.safetensors")
    trainer = Trainer(settings_for(init=init), tmp_path / "second")
    mine, given = trainer.learner.network.state_dict(), first.learner.network.state_dict()
    for name, value in mine.items():
        if name.startswith("classifier"):
            assert not torch.equal(value, given[name])  # new
        elif value.is_floating_point():
            assert torch.equal(value, given[name].half().float())


def test_a_training_may_begin_with_the_bundled_weights(settings_for, tmp_path, root):
    from safetensors.torch import load_file

    trainer = Trainer(settings_for(init="default", backbone="slimnet_ibn_wide", dimension=256), tmp_path)
    given = load_file(root / "reid/weights/default.safetensors")
    assert torch.equal(trainer.learner.network.project.weight, given["project.weight"].float())


def test_an_epoch_is_told_in_words(settings_for, tmp_path):
    said = []
    Trainer(settings_for(stages=ONE_EPOCH), tmp_path, report=said.append).run()
    pattern = r"epoch 1/1  triplet [\d.]+  identity [\d.]+  triplets \d+ % easy, \d+ % semi-hard, \d+ % hard  spread"
    assert re.match(pattern, said[-1])
    assert "mAP" in said[-1]


def test_weights_of_another_network_are_refused(settings_for, tmp_path):
    init = weights_of(Trainer(settings_for(), tmp_path / "first"), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="dimension is 16, the settings say 32"):
        Trainer(settings_for(init=init, dimension=32), tmp_path / "second")
    with pytest.raises(WeightsError, match="backbone is slimnet_x0_5, the settings say osnet_x0_25"):
        Trainer(settings_for(init=init, backbone="osnet_x0_25"), tmp_path / "third")


def test_a_training_may_begin_with_a_foreign_backbone(settings_for, tmp_path):
    """OSNet as torchreid saves it: its backbone is taken, head and classifier are new."""
    from reid.checkpoint import our_name

    backbone = create_model("osnet_x0_25").backbone
    theirs = torchreid_names(backbone)
    assert sorted(our_name(name) for name in theirs) == sorted(f"backbone.{name}" for name in backbone.state_dict())
    torch.save({"state_dict": theirs}, tmp_path / "osnet.pth")
    settings = settings_for(backbone="osnet_x0_25", init=str(tmp_path / "osnet.pth"))
    trainer = Trainer(settings, tmp_path / "out")
    for name, value in trainer.learner.network.backbone.state_dict().items():
        assert torch.equal(value, backbone.state_dict()[name])


def torchreid_names(backbone):
    """A backbone's tensors as torchreid calls them, written down independently of the reader."""
    block = {"reduce.0": "conv1.conv", "reduce.1": "conv1.bn", "expand.0": "conv3.conv", "expand.1": "conv3.bn"}
    block |= {"shortcut.0": "downsample.conv", "shortcut.1": "downsample.bn"}
    block |= {"gate.down": "gate.fc1", "gate.up": "gate.fc2"}
    for stream, letter in enumerate("abcd"):
        for place in range(stream + 1):
            middle = f"conv2{letter}" + (f".{place}" if stream else "")
            block |= {
                f"streams.{stream}.{place}.{layer}": f"{middle}.{name}"
                for layer, name in enumerate(("conv1", "conv2", "bn"))
            }
    names = {"stem.0.0": "conv1.conv", "stem.0.1": "conv1.bn"}
    for stage in (2, 3, 4):
        ours = "stage4.0" if stage == 4 else f"stage{stage}"
        for number in (0, 1):
            names |= {f"{ours}.{number}.{a}": f"conv{stage}.{number}.{b}" for a, b in block.items()}
        last = "stage4.1" if stage == 4 else f"stage{stage}.2"
        after = "conv5" if stage == 4 else f"conv{stage}.2.0"
        names |= {f"{last}.0": f"{after}.conv", f"{last}.1": f"{after}.bn"}
    state = backbone.state_dict()
    return {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in state.items()}


def test_an_unknown_format_lists_those_there_are():
    with pytest.raises(ConfigError, match="'imagenet' is unknown; there are: market1501"):
        read(DataSet(format="imagenet", path="x"))
    with pytest.raises(ConfigError, match="format 'folders' has no setting 'every'"):
        read(DataSet(format="folders", path="x", every=3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mining": "batch_all", "margin": "soft"}, "batch_all needs a number as margin"),
        ({"mining": "distance_weighted", "distance": "squared"}, "needs distance euclidean"),
        ({"contrastive_weight": 1.0, "distance": "squared"}, "squares the distance itself"),
        ({"triplet_weight": 0.0, "identity_weight": 0.0}, "nothing to learn from"),
        ({"query": None}, "give both or neither"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings_for, changes, message):
    with pytest.raises(ValueError, match=message):
        settings_for(**changes)


def test_data_that_does_not_fit_is_told_before_anything_is_trained(settings_for, crops, tmp_path):
    with pytest.raises(DataError, match="the data has only 8; lower `p`"):
        Trainer(settings_for(p=16), tmp_path)
    with pytest.raises(DataError, match=r"no identity of the query .* is in the gallery"):
        Trainer(settings_for(gallery=DataSet(path=str(crops / "train"))), tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        Trainer(settings_for(train=(DataSet(path="nowhere"),)), tmp_path)


def test_the_shipped_recipe_is_valid(root):
    import yaml

    settings = TrainSettings.model_validate(yaml.safe_load((root / "configs/reid/default.yaml").read_text()))
    assert settings.mining == "batch_hard"


@pytest.mark.parametrize("content", [b"", b"PK", b"nothing", b"\x80\x02}q\x00."])
def test_a_damaged_checkpoint_says_how_to_go_on(settings_for, tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(TrainingError, match=r"last\.pt: (damaged.*delete it to begin anew|a checkpoint of other)"):
        Trainer(settings_for(stages=ONE_EPOCH), tmp_path)


def test_a_checkpoint_that_would_run_code_is_refused(settings_for, tmp_path):
    class Command:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"network": Command()}, tmp_path / "last.pt")
    with pytest.raises(TrainingError, match=r"would call `posix\.system`"):
        Trainer(settings_for(stages=ONE_EPOCH), tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("change", [{"epoch": "x"}, {"epoch": -3}, {"updates": None}, {"schedule": {"rate": 1}}])
def test_a_checkpoint_of_odd_values_is_refused(settings_for, tmp_path, change):
    trainer = Trainer(settings_for(stages=ONE_EPOCH), tmp_path)
    torch.save(trainer._state() | change, trainer.checkpoint)
    with pytest.raises(TrainingError, match=r"last\.pt: a checkpoint of other settings or data"):
        Trainer(settings_for(stages=ONE_EPOCH), tmp_path)


def test_identities_of_one_image_are_told(settings_for, crops, tmp_path):
    """They make no triplet of two images."""
    told = []
    Trainer(settings_for(stages=ONE_EPOCH), tmp_path / "all", report=told.append)
    assert not told
    (tmp_path / "crops").mkdir()
    for image in sorted((crops / "train").iterdir()):
        if image.name[:4] > "0003" or "_000000_" in image.name:
            shutil.copy(image, tmp_path / "crops")
    few = settings_for(stages=ONE_EPOCH, train=(DataSet(path=str(tmp_path / "crops")),))
    Trainer(few, tmp_path / "few", report=told.append)
    assert told[0].startswith("warning: 3 of 8 identities have one image only")


@pytest.mark.parametrize(
    ("old", "new"), [("rate", "lr"), ("decay", "weight_decay"), ("identities", "p"), ("centre_weight", "center_weight")]
)
def test_settings_of_older_versions_are_refused_by_their_new_name(old, new):
    settings = {"train": [{"path": "crops"}], "stages": [{"size": [64, 32], "epochs": 1}], old: 3}
    with pytest.raises(ValueError, match=f"`{old}` is now called `{new}`"):
        TrainSettings.model_validate(settings)
