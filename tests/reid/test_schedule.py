"""How far a training is: by epochs, and by a clock that other work slows down."""

import pytest
import torch

from reid.train import Stage, Trainer
from reid.train.schedule import Schedule

STAGES = (Stage(size=(32, 16), epochs=30), Stage(size=(64, 32), epochs=10))


def walk(settings, seconds):
    """To the end; `seconds(schedule)` is what an epoch takes."""
    schedule = Schedule(settings)
    sizes, rates = [], []
    while not schedule.done:
        sizes.append(schedule.size)
        rates.append(schedule.rate(1.0))
        schedule.walked(seconds(schedule))
        assert schedule.epoch < 10_000
    return schedule, sizes, rates


def test_by_epochs_the_clock_does_not_matter(settings_for):
    schedule, sizes, rates = walk(settings_for(stages=STAGES), lambda _: 1e6)
    assert sizes == [(32, 16)] * 30 + [(64, 32)] * 10
    assert schedule.expected == schedule.epoch == 40
    assert rates[-1] == pytest.approx(0.01 * schedule.settings.lr)


@pytest.mark.parametrize("pace", [0.01, 0.3, 2.0])
def test_by_the_clock_a_training_ends_in_its_time_at_the_lowest_rate(settings_for, pace):
    def seconds(schedule):
        # The first epoch waits for the data; larger pictures cost more; another program comes and goes.
        busy = 3.0 if 20 < schedule.seconds < 40 else 1.0
        return pace * busy * (4 if schedule.size == (64, 32) else 1) + (5.0 if schedule.epoch == 0 else 0.0)

    schedule, sizes, rates = walk(settings_for(stages=STAGES, minutes=1.5), seconds)
    assert schedule.seconds == pytest.approx(90, abs=12 * pace + 1)
    assert rates[-1] == pytest.approx(0.01 * schedule.settings.lr, rel=0.5)
    assert schedule.progress == 1
    large = sum(4 * pace for size in sizes if size == (64, 32))
    assert large == pytest.approx(90 / 4, abs=12 * pace + 4)  # a quarter of the time
    assert sizes == sorted(sizes)


def test_too_little_time_is_one_epoch(settings_for):
    schedule, sizes, _ = walk(settings_for(stages=STAGES, minutes=0.001), lambda _: 7.0)
    assert len(sizes) == 1
    assert schedule.expected == 1


def test_a_training_that_is_over_goes_on_with_more_epochs(settings_for):
    before, sizes, _ = walk(settings_for(stages=STAGES), lambda _: 1.0)
    more = Schedule(settings_for(stages=(STAGES[0], Stage(size=(64, 32), epochs=20))))
    more.restore(before.epoch, before.state())
    assert not more.done
    assert (more.size, more.seen, more.expected) == ((64, 32), sizes[-1], 50)
    assert more.rate(0.0) == more.rate_at(0.8)


def test_a_training_by_the_clock_goes_on_where_it_was(settings_for, tmp_path):
    settings = settings_for(minutes=0.1, query=None, gallery=None)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = Trainer(settings, tmp_path / "a")
    first.run_epoch()
    (tmp_path / "b/last.pt").write_bytes(first.checkpoint.read_bytes())
    states = []
    for name in ("a", "b"):
        trainer = Trainer(settings, tmp_path / name)
        assert trainer.schedule.state() == first.schedule.state()
        trainer._train_epoch()
        states.append(trainer.learner.average.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True))
    trainer.schedule.walked(60.0)
    assert trainer.schedule.done  # late: what is left of the way is not walked
