"""An inversion that a test interrupts: one call, in the test and in a process that is killed."""

import sys
import time

import jax
from conftest import DCGAN_CONFIG, filled

from jaxlatent.invert import Recipe, Schedule, invert, resume

STEPS = 40


def run(folder=None, progress=None, **changes):
    generator = filled(DCGAN_CONFIG)
    images = generator.synthesize(generator.sample_z(jax.random.key(1), 3)[:, None])
    recipe = Recipe("z", STEPS, Schedule(0.1, fall=0.5), start="sample", **changes)
    keys = jax.random.key(0)
    return invert(generator, images, recipe, keys, chunk=2, folder=folder, progress=progress)


if __name__ == "__main__":  # begins, and is killed by its parent before the end
    resume._SECONDS = 0.0
    run(sys.argv[1], lambda *_: time.sleep(0.05))
