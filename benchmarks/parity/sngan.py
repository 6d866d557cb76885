"""What the goldens of torch-mimicry hold, computed by our generators."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.parity.compare import Gradient, Outputs, kink, weights
from benchmarks.parity.goldens import Golden, nchw, nhwc
from jaxlatent.generators import SNGAN


@jax.jit
def _outputs(generator: SNGAN, codes: Any, label: Any) -> dict[str, Any]:
    """Returns the image and what the original's modules give."""
    inputs = generator.prepare(codes, label=label)
    state = generator.start(inputs)
    found = {"act_l1": state.features}
    for index in range(generator.num_blocks):
        state = generator.block(index, state, inputs)
        attends = index == generator.config.attention
        found["act_attn_block" if attends else f"act_block{index + 2}"] = state.features
    return found | {"image": generator.finish(state, inputs)}


def outputs(golden: Golden) -> Outputs:
    """Computes every array of a golden of torch-mimicry."""
    generator: Any = golden.convert()
    arrays = golden.arrays
    label = jnp.asarray(arrays["y"], jnp.int32) if "y" in arrays else None
    codes = generator.broadcast(generator.map(jnp.asarray(arrays["z"]), label))
    multiplier = nhwc(weights(golden))

    def loss(generator: Any, codes: Any) -> Any:
        return jnp.sum(generator.synthesize(codes, label=label) * multiplier)

    found = {n: nchw(v) for n, v in _outputs(generator, codes, label).items()}
    found["act_l1"] = found["act_l1"].reshape(len(codes), -1)
    gradient = Gradient(generator, loss, codes, layout=lambda g: g[:, 0], kink=kink(golden, "z"))
    compared: dict[str, Any] = {n: v for n, v in found.items() if n in arrays}
    return Outputs(compared | {"grad_z": gradient}, frozenset({"z", "y"} & arrays.keys()))
