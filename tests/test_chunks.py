"""Chunks: each is dispatched before the one before is copied, and never a third one."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxlatent.chunks import Chunks, run


class Made:
    """An image on its way, which writes down when it is asked for."""

    def __init__(self, number, log):
        self.number, self.log = number, log
        log.append(f"dispatch {number}")

    def copy_to_host_async(self):
        self.log.append(f"send {self.number}")

    def __array__(self, dtype=None, copy=None):
        self.log.append(f"copy {self.number}")
        return np.full((2, 1, 1, 1), self.number, np.float32)


def test_two_chunks_are_in_flight_and_no_more(lenient):
    log, told = [], []
    images = np.zeros((5, 1, 1, 1), np.float32)
    chunks = ((2 if i < 2 else 1, Made(i, log)) for i in range(3))
    run(chunks, images, lambda done, total: told.append((done, total)))
    steps = "dispatch 0, send 0, dispatch 1, send 1, copy 0, dispatch 2, send 2, copy 1, copy 2"
    assert ", ".join(log) == steps
    assert images.ravel().tolist() == [0, 0, 1, 1, 2]
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_the_last_chunk_repeats_the_last_image_but_does_not_count_it():
    program = jax.jit(lambda scale, index: (scale * index)[:, None, None, None])
    chunks = Chunks(program, (jnp.float32(10),), {}, 5, 2)
    found = [(count, made.ravel().tolist()) for count, made in chunks.dispatch()]
    assert found == [(2, [0, 10]), (2, [20, 30]), (1, [40, 40])]
    assert program._cache_size() == 1


def test_no_chunks_leave_nothing_to_do():
    run((), np.zeros((0, 1, 1, 1), np.float32), None)
