"""How `reacquire reid train` speaks while it works."""

import pytest

from tracker.cli import reid_train


@pytest.mark.parametrize(("seconds", "words"), [(5, "5 s"), (100, "2 min"), (7200, "2.0 h")])
def test_time_left_in_words(seconds, words):
    assert reid_train._spoken(seconds) == words


def test_plain_lines_where_there_is_no_terminal(monkeypatch, capsys):
    now = [1000.0]
    monkeypatch.setattr(reid_train.time, "monotonic", lambda: now[0])
    with reid_train.TrainProgress() as progress:
        for done in (0.5, 0.55, 0.6):  # an earlier run did the first half
            progress(done)
            now[0] += 20
        progress.report("epoch [1/2] is over")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "training: 55.0 % done, about 3 min left"
    assert lines[1] == "training: 60.0 % done, about 3 min left"
    assert lines[-1] == "epoch [1/2] is over"
