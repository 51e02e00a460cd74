"""One engine that two threads use at once: the second is refused, and nothing breaks. In a process of its own."""

import subprocess
import sys

import pytest

CODE = """
import copy, pickle, sys, threading
import numpy as np
from tracker import DataError, Detections, load_tracker

recipe, record = sys.argv[1], sys.argv[1] == "bytetrack"
sys.setswitchinterval(1e-5)
engine, embedding = load_tracker(recipe, record=record), np.eye(64, dtype=np.float32)
def frame(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(0, 64))
    corner = random.uniform(0, 900, (n, 2))
    return Detections(np.c_[corner, corner + [40, 100]], random.uniform(0.2, 1, n), embedding=embedding[:n])
frames = [frame(seed) for seed in range(30)]
engine.update(frames[0])
state, done, busy, wrong = engine.state_dict(), [0], [0], []
calls = [
    lambda i: engine.update(frames[i % 30], include_lost=True), lambda i: engine.update(frames[i % 7]),
    lambda i: engine.update(frames[i % 11]), lambda i: engine.state_dict(), lambda i: engine.load_state_dict(state),
    lambda i: engine.skip(0.1), lambda i: engine.reset(), lambda i: copy.deepcopy(engine).update(frames[1]),
    lambda i: pickle.loads(pickle.dumps(engine)).update(frames[2]), lambda i: engine.forget_tracks(),
    lambda i: engine.drop_embeddings(), lambda i: engine.rejoin(frames[3], 5.0, embeddings_known=False),
]
if record:
    calls.append(lambda i: engine.take_record())
def work(seed):
    random = np.random.default_rng(seed)
    for i in range(1000):
        try:
            calls[int(random.integers(0, len(calls)))](i)
            done[0] += 1
        except DataError as error:
            if "another thread" not in str(error):
                wrong.append(str(error))
            busy[0] += 1
        except BaseException as error:
            wrong.append(repr(error))
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
engine.reset()
alone = load_tracker(recipe, record=record)
for found in frames:
    a, b = engine.update(found), alone.update(found)
    assert a.id.tolist() == b.id.tolist() and (a.xyxy == b.xyxy).all()
print(done[0], busy[0], wrong[:3])
"""


@pytest.mark.parametrize("recipe", ["bytetrack", "reacquire"])
def test_a_second_thread_is_refused_and_nothing_breaks(recipe):
    found = subprocess.run([sys.executable, "-c", CODE, recipe], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr[-2000:]
    done, busy, wrong = found.stdout.split(maxsplit=2)
    assert wrong.strip() == "[]"
    assert int(done) > 100
    assert int(done) + int(busy) == 4000


SIDE_BY_SIDE = """
import threading
import numpy as np
from tracker import Detections, load_tracker
boxes = np.random.default_rng(0).uniform(0, 900, (200, 40, 2))
frames = [Detections(np.c_[corner, corner + [40, 100]]) for corner in boxes]
def run(out):
    engine = load_tracker("bytetrack")
    out.extend(engine.update(found).id.tolist() for found in frames)
outs = [[] for _ in range(4)]
threads = [threading.Thread(target=run, args=(out,)) for out in outs]
[t.start() for t in threads]
[t.join() for t in threads]
assert all(out == outs[0] and len(out) == 200 for out in outs)
"""


def test_engines_side_by_side_in_threads_do_not_meet():
    subprocess.run([sys.executable, "-c", SIDE_BY_SIDE], check=True, timeout=300)
