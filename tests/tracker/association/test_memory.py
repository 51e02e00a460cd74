"""Every array is found at its address."""

import numpy as np

from tracker.association import layout as at
from tracker.association import memory as mem
from tracker.association.stream import fresh

ROOM, SLOTS, D = 5, 3, 4
ACCESS = {(np.float64, 1): mem.line, (np.float64, 2): mem.sheet, (np.int64, 1): mem.indices, (np.bool_, 1): mem.flags}


def memory():
    looks = np.zeros((ROOM, SLOTS, D), np.float32)
    program = np.zeros((2, at.S_WIDTH)), np.zeros(at.R_WIDTH)
    return mem.Memory.of(
        np.zeros(at.L_WIDTH), np.zeros((ROOM, at.WIDTH)), looks, np.zeros((ROOM, SLOTS)), fresh(), *program
    )


def test_what_is_written_at_the_address_is_in_the_array():
    arrays = memory()
    where = arrays.addresses()
    for which, (name, array) in enumerate(arrays._asdict().items()):
        view = mem.looks_of(where) if name == "looks" else ACCESS[array.dtype.type, array.ndim](where, which)
        assert view.shape == array.shape, name
        view[...] = 0
        view[-1] = 1
        expected = np.zeros_like(array)
        expected[-1] = 1
        np.testing.assert_array_equal(array, expected, err_msg=name)


def test_names_are_those_of_the_fields():
    for which, name in enumerate(mem.Memory._fields):
        assert getattr(mem, name.upper()) == which
