"""What this processor computes at most: a product of matrices by JAX and by torch, the faster."""

import time
from functools import cache

import jax
import numpy as np

from benchmarks.process import torch_with_threads
from jaxlatent.threads import cores

_SIDE = 2048


@cache
def gflops() -> float:
    """Returns billions of float32 operations a second, on the threads that measurements have."""
    matrix = np.random.RandomState(0).standard_normal((_SIDE, _SIDE)).astype(np.float32)
    x, product = jax.numpy.asarray(matrix), jax.jit(jax.numpy.matmul)
    works = [lambda: product(x, x).block_until_ready()]
    if torch := torch_with_threads():
        y = torch.from_numpy(matrix)
        works.append(lambda: y @ y)
    clock = time.process_time if cores() == 1 else time.perf_counter
    taken = []
    for work in works:
        work()
        for _ in range(3):
            start = clock()
            work()
            taken.append(clock() - start)
    return 2 * _SIDE**3 / min(taken) / 1e9
