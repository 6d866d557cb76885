"""What the goldens of BigGANs of both lineages hold, computed by our generators."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.parity.compare import Gradient, Outputs, kink, weights
from benchmarks.parity.goldens import Golden, nchw, nhwc
from jaxlatent.generators import BigGAN
from jaxlatent.generators.biggan_blocks import statistics_rows
from jaxlatent.parameters import reconfigured

INPUTS = ("z", "y", "class_vector", "truncation", "truncations", "z_layers", "class_vector_layers")
MIXED = (0.35, 0.65)  # shares of the first two samples' classes in `y_embed_mix`


@jax.jit
def _everything(generator: BigGAN, codes: Any, label: Any) -> tuple[Any, list[Any], Any]:
    """Returns the images, the features after every block, and the last ones normalised."""
    inputs = generator.prepare(codes, label=label)
    state, features = generator.start(inputs), []
    for index in range(generator.num_blocks):
        state = generator.block(index, state, inputs)
        features.append(state.features)
    return generator.finish(state, inputs), features, generator.norm(state.features)


def outputs(golden: Golden) -> Outputs:
    """Computes every array of a BigGAN golden."""
    ours = _huggingface(golden) if "class_vector" in golden.arrays else _pytorch(golden)
    inputs = frozenset(n for n in INPUTS if n in golden.arrays)
    return Outputs({n: value for n, value in ours.items() if n in golden.arrays}, inputs)


def _images(golden: Golden, images: Any) -> dict[str, Any]:
    """Returns what a golden keeps of its images: all, or edges, a centre and means."""
    x, step, arrays = nchw(images), golden.meta.get("stride", 1), golden.arrays
    patch = arrays["image_patch"].shape[-1] if "image_patch" in arrays else 0
    start = (x.shape[-1] - patch) // 2
    return {
        "image": x,
        "image_stride": x[..., ::step, ::step],
        "image_last_row": x[:, :, -1],
        "image_last_col": x[..., -1],
        "image_patch": x[..., start : start + patch, start : start + patch],
        "image_mean": x.mean((2, 3)),
        "image_abs_mean": np.abs(x).mean((2, 3)),
    }


def _repeated(array: Any, n: int) -> Any:
    """Returns `n` rows, those of `array` over and over, to reuse a compiled program."""
    return jnp.resize(jnp.asarray(array), (n, *array.shape[1:]))


def _huggingface(golden: Golden) -> dict[str, Any]:
    arrays = golden.arrays
    generator: Any = golden.convert(truncation=str(arrays["truncation"]))
    z, label = (jnp.asarray(arrays[name]) for name in ("z", "class_vector"))
    codes = generator.broadcast(generator.map(z))
    images, features, normed = _everything(generator, codes, label)
    found = _images(golden, images) | {
        "embed": generator.embed(label, len(z)),
        "gen_z": features[0].reshape(len(z), -1),
        "layers_0": nchw(features[1]),
        "gap_bn": normed.mean((1, 2)),
    }
    found |= {f"gap_layers_{i}": x.mean((1, 2)) for i, x in enumerate(features[1:])}
    step = golden.meta.get("stride_of_images_truncations_and_image_layers", 1)
    if "z_layers" in arrays:
        layers = _repeated(arrays["z_layers"].swapaxes(0, 1), len(z))
        classes = _repeated(arrays["class_vector_layers"], len(z))
        mixed, _, _ = _everything(generator, layers, classes)
        found["image_layers"] = nchw(mixed)[: arrays["z_layers"].shape[1], :, ::step, ::step]
    if "truncations" in arrays:
        found |= _truncated(golden, generator, codes[:1], label[:1], step)
    return found | _gradients(golden, generator, ("z", "class_vector"))


def _truncated(
    golden: Golden, generator: BigGAN, codes: Any, label: Any, step: int
) -> dict[str, Any]:
    """Returns images with the statistics of other truncations.

    Not jitted: each truncation is a program of its own, made of the same operators.
    """
    rows, images = [], []
    for value in golden.arrays["truncations"]:
        other: Any = reconfigured(generator, truncation=float(value))
        images.append(nchw(other.synthesize(codes, label=label))[..., ::step, ::step])
        (row, weight), *second = statistics_rows(float(value), generator.config.num_stats)
        rows.append((row, weight if second else 0.0))
    return {
        "images_truncations": np.stack(images),
        "truncations_modf": np.array(rows, np.float32),
    }


def _pytorch(golden: Golden) -> dict[str, Any]:
    arrays, constructor = golden.arrays, golden.meta["constructor"]
    options = {"norm_epsilon": str(constructor.get("BN_eps", 1e-5))}
    if "G_depth" in constructor:
        options["depth"] = str(constructor["G_depth"])
    generator: Any = golden.convert(**options)
    z, label = jnp.asarray(arrays["z"]), jnp.asarray(arrays["y"], jnp.int32)
    codes, classes = generator.broadcast(z), jax.nn.one_hot(label, generator.num_classes)
    images, features, _ = _everything(generator, codes, classes)
    found = _images(golden, images)
    found |= {"linear": nchw(features[0]).reshape(len(z), -1), "blocks_0_0": nchw(features[1])}
    block = -1
    for (kind, number), x in zip(generator.config.sequence(), features[1:], strict=True):
        block = number if kind == "block" else block
        found[f"gap_blocks_{block}_{int(kind != 'block')}"] = x.mean((1, 2))
    if generator.config.embed_dim:
        found["y_embed"] = generator.embed(label, len(z))
    if "y_embed_mix" in arrays:
        shares = jnp.array([MIXED]) @ classes[:2]
        found["y_embed_mix"] = generator.embed(shares, 1)
        mixed, _, _ = _everything(generator, codes, _repeated(shares, len(z)))
        found["image_y_mix"] = nchw(mixed)[:1]
    if "image_ignoring_standing_counter" in arrays:
        other: Any = golden.convert(**options, standing="ignore")
        ignoring, _, _ = _everything(other, codes, classes)
        found["image_ignoring_standing_counter"] = nchw(ignoring)
    return found | _gradients(golden, generator, ("z",))


def _gradients(golden: Golden, generator: BigGAN, names: tuple[str, ...]) -> dict[str, Any]:
    """Returns gradients of one loss of codes and class weights side by side, compiled once."""
    arrays: Mapping[str, Any] = golden.arrays
    multiplier = nhwc(weights(golden))
    z = jnp.asarray(arrays["z"])
    n, layers, width = len(z), generator.num_layers, generator.code_dim
    label = arrays.get("class_vector")
    if label is None:
        label = jax.nn.one_hot(arrays["y"], generator.num_classes)

    def loss(generator: Any, both: Any) -> Any:
        codes = both[:, : layers * width].reshape(n, layers, width)
        images = generator.synthesize(codes, label=both[:, layers * width :])
        return jnp.sum(images * multiplier)

    def joined(z: Any, label: Any) -> Any:
        return jnp.concatenate([generator.broadcast(z).reshape(n, -1), label], axis=1)

    starts = {
        "z": (z, lambda z: joined(z, label)),
        "class_vector": (label, lambda label: joined(z, label)),
    }
    return {
        f"grad_{name}": Gradient(generator, loss, *starts[name], kink=kink(golden, name))
        for name in names
    }
