"""From any checkpoint to a sheet of its first directions: `first_directions.py CHECKPOINT OUT.png`.

StyleGAN2 is truncated, as its authors do for pictures; a DCGAN is not.
"""

import sys

import jax

import jaxlatent
from jaxlatent import find


def main(checkpoint: str, out: str) -> None:
    """Writes how three samples change along the first five directions."""
    generator = jaxlatent.load(checkpoint)
    directions = find.sefa(generator.affines(), k=5).bind(generator)
    z = generator.sample_z(jax.random.key(0), 3)
    codes = generator.broadcast(generator.map(z))
    strengths = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
    psi = 0.7 if "w" in generator.spaces else None
    images = jaxlatent.sweep(generator, codes, directions, strengths, psi=psi)
    jaxlatent.save_sheet(images, out, direction_labels=directions.names, strengths=strengths)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
