"""Two processes train what one does: triplets reach across them, and gradients are those of the whole batch."""

import os
import subprocess
import sys

import pytest
import torch

from reid.errors import ConfigError
from reid.train import Stage, Trainer, distributed

PROCESS = """
import sys
from pathlib import Path
import torch
from reid.train import Trainer, TrainSettings, distributed

settings, out = TrainSettings.model_validate_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
with distributed.launched("cpu") as device:
    for mining in ("batch_hard", "offline"):
        trainer = Trainer(settings.model_copy(update={"mining": mining}), out / mining, device=device)
        gradients, step = {}, trainer.learner.step

        def first_kept(*args):
            parts = step(*args)
            if not gradients:
                named = trainer.learner.network.named_parameters()
                gradients.update((name, p.grad.clone()) for name, p in named if p.grad is not None)
            return parts

        trainer.learner.step = first_kept
        trainer.run()
        if distributed.rank() == 0:
            torch.save(gradients, out / mining / "gradients.pt")
"""


def launch(processes, settings, out, root):
    """The program above in so many processes; through `torchrun` where there are several."""
    out.mkdir()
    (out / "settings.json").write_text(settings.model_dump_json())
    (out / "process.py").write_text(PROCESS)
    arguments = [str(out / "process.py"), str(out / "settings.json"), str(out)]
    if processes == 1:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", arguments)
            exec(compile(PROCESS, "process.py", "exec"), {})
        return
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*torchrun, *arguments], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_train_as_one(settings_for, tmp_path, root):
    """First gradients, every figure of the log, and the averaged weights at the end."""
    settings = settings_for(
        amp="off",
        center_weight=0.01,
        contrastive_weight=0.1,
        lr=1e-4,
        clip=1e6,
        ema_decay=0.5,
        stages=(Stage(size=(32, 16), epochs=2),),
        evaluate_every=2,
    )
    for processes in (1, 2):
        launch(processes, settings, tmp_path / str(processes), root)
    for mining in ("batch_hard", "offline"):
        one, two = tmp_path / "1" / mining, tmp_path / "2" / mining
        a, b = (torch.load(f / "gradients.pt", weights_only=True) for f in (one, two))
        assert a.keys() == b.keys()
        largest = max(g.abs().max() for g in a.values())
        for name in a:
            torch.testing.assert_close(b[name], a[name], rtol=1e-3, atol=float(1e-5 * largest), msg=name)
        rows = [[line.split(",")[:-1] for line in (f / "log.csv").read_text().splitlines()[1:]] for f in (one, two)]
        assert len(rows[0]) == settings.epochs
        for x, y in zip(*rows, strict=True):
            for first, second in zip(x, y, strict=True):
                assert (first == second == "") or float(second) == pytest.approx(float(first), abs=0.02)
        a, b = (torch.load(f / "last.pt", weights_only=True)["average"] for f in (one, two))
        for name in a:
            # Adam turns rounding of near-zero gradients into steps of the rate's size; few of them were made.
            torch.testing.assert_close(b[name].float(), a[name].float(), rtol=0.05, atol=8 * settings.lr, msg=name)


def test_a_batch_that_cannot_be_dealt_evenly_is_refused(settings_for, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "processes", lambda: 3)
    with pytest.raises(ConfigError, match=r"a batch of 4 .* cannot be dealt to 3 processes evenly"):
        Trainer(settings_for(), tmp_path)


def test_synchronised_normalisation_alone_is_batch_normalisation():
    """In one process, training and evaluation, to the buffers."""
    torch.manual_seed(0)
    plain = torch.nn.BatchNorm2d(5)
    torch.nn.init.normal_(plain.weight)
    synced = torch.nn.Sequential(torch.nn.BatchNorm2d(5))
    synced[0].load_state_dict(plain.state_dict())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed.dist, "all_reduce", lambda tensor: None)
        distributed.synchronised(synced)
        assert isinstance(synced[0], distributed.SyncedBatchNorm)
        x = torch.randn(6, 5, 4, 3)
        torch.testing.assert_close(synced(x), plain(x))
    assert synced[0].state_dict().keys() == plain.state_dict().keys()
    for a, b in zip(synced[0].state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(synced.eval()(x), plain.eval()(x))


def test_alone_nothing_is_gathered():
    x = torch.randn(3, 2)
    assert distributed.gather(x) is x
    assert distributed.part(6) == slice(0, 6)
