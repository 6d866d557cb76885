"""What the goldens of DCGANs hold, computed by our generators."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.parity.compare import Gradient, Outputs, kink, weights
from benchmarks.parity.goldens import Golden, nchw, nhwc
from jaxlatent.generators import Generator

OPTIONS = {"dcgan_mnist28": {"image_size": "28"}, "dcgan_cifar32_gray": {"image_size": "32"}}


@jax.jit
def _synthesize(generator: Generator, codes: Any) -> Any:
    return generator.synthesize(codes)


def outputs(golden: Golden) -> Outputs:
    """Computes every array of a DCGAN golden."""
    generator: Any = golden.convert(**OPTIONS.get(golden.name, {}))
    codes = jnp.asarray(golden.arrays["z"])[:, :, 0, 0][:, None]
    multiplier = nhwc(weights(golden))

    def loss(generator: Any, codes: Any) -> Any:
        return jnp.sum(generator.synthesize(codes) * multiplier)

    found = {
        "image": nchw(_synthesize(generator, codes)),
        "grad_z": Gradient(
            generator, loss, codes, layout=lambda g: g[:, 0, :, None, None], kink=kink(golden, "z")
        ),
    }
    return Outputs(found, frozenset({"z"}))
