"""The cache of compiled code is of the sources that are there."""

import pickle

from tracker import compiled as module
from tracker.compiled import compiled


def test_what_other_sources_left_is_not_read(tmp_path):
    @compiled
    def twice(x):
        return 2 * x

    file = twice._cache._cache_file
    file._cache_path, file._index_path = str(tmp_path), str(tmp_path / "twice.nbi")
    left = pickle.dumps(b"of other sources") + b"names a class that is no more"
    (tmp_path / "twice.nbi").write_bytes(left)
    assert twice(3) == 6
    with open(tmp_path / "twice.nbi", "rb") as index:
        assert pickle.load(index) == module._stamp()
    assert len(list(tmp_path.glob("*.nbc"))) == 1
