"""What the goldens of DCGANs and InfoGANs hold, computed by our generators."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.parity.compare import Gradient, Outputs, kink, weights
from benchmarks.parity.goldens import Golden, nchw, nhwc
from jaxlatent.generators import DCGAN

OPTIONS = {"dcgan_mnist28": {"image_size": "28"}, "dcgan_cifar32_gray": {"image_size": "32"}}


@jax.jit
def _outputs(generator: DCGAN, codes: Any) -> dict[str, Any]:
    """Returns the image as the original has it, and activations under the original's names."""
    image = generator.synthesize(codes)
    if generator.config.output_activation == "sigmoid":
        image = (image + 1) / 2
    found = {"image": image}
    inputs = generator.prepare(codes)
    state = generator.start(inputs)
    for index, layer in enumerate(generator.layers):
        convolved = layer.convolve(state.features)
        state = generator.block(index, state, inputs)
        found[f"act_tconv{index + 1}"] = found[f"act_main_{3 * index}"] = convolved
        found[f"act_main_{3 * index + 2}"] = state.features
    return found


def outputs(golden: Golden) -> Outputs:
    """Computes every array of a golden."""
    generator: Any = golden.convert(**OPTIONS.get(golden.name, {}))
    codes = jnp.asarray(golden.arrays["z"])[:, :, 0, 0][:, None]
    multiplier = nhwc(weights(golden))

    def loss(generator: Any, codes: Any) -> Any:
        return jnp.sum(_outputs(generator, codes)["image"] * multiplier)

    found: dict[str, Any] = {
        name: nchw(value)
        for name, value in _outputs(generator, codes).items()
        if name in golden.arrays
    }
    found["grad_z"] = Gradient(
        generator, loss, codes, layout=lambda g: g[:, 0, :, None, None], kink=kink(golden, "z")
    )
    return Outputs(found, frozenset({"z"}))
