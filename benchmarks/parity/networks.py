"""What the goldens of predictors, perceptual trunks, distances and encoders hold."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.parity.compare import Gradient, Outputs, kink, weights
from benchmarks.parity.goldens import Golden, nchw, nhwc
from jaxlatent.networks import LPIPS, TRUNKS, Encoder, ResNet, Trunk


def _means(names: list[str], activations: Any) -> dict[str, Any]:
    """Names the spatial means of activations."""
    return {name: jnp.mean(a, axis=(1, 2)) for name, a in zip(names, activations, strict=True)}


def _gradient(
    golden: Golden, name: str, model: Any, output: Callable[[Any, Any], Any], layout: Any
) -> Gradient:
    """Returns the gradient of sum(output(model, images) * R) by the images called `name`."""
    multiplier = jnp.asarray(layout(weights(golden)))

    def loss(model: Any, images: Any) -> Any:
        return jnp.sum(output(model, images) * multiplier)

    return Gradient(model, loss, nhwc(golden.arrays[name]), layout=nchw, kink=kink(golden, name))


def resnet(golden: Golden) -> Outputs:
    """Computes every array of a ResNet golden."""
    model: Any = golden.convert(version="1.5")

    @jax.jit
    def run(model: ResNet, x: Any) -> Any:
        return model(x), model.features(x), model.activations(x)

    logits, features, activations = run(model, nhwc(golden.arrays["x"]))
    stages = [f"layer{i}" for i in range(1, len(activations))]
    found = _means([f"gap_{n}" for n in ("maxpool", *stages)], activations)
    found |= {f"act_{stages[-1]}": nchw(activations[-1]), "logits": logits, "features": features}
    found["grad_x"] = _gradient(golden, "x", model, ResNet.__call__, np.asarray)
    return Outputs({n: found[n] for n in golden.arrays if n in found}, frozenset({"x"}))


def trunk(golden: Golden) -> Outputs:
    """Computes every array of a golden of a trunk alone."""
    model: Any = golden.convert()
    run = jax.jit(lambda m, x: (m(x), m.activations(x)))
    features, activations = run(model, nhwc(golden.arrays["x"]))
    found = _means([f"gap_relu_{i}" for i in TRUNKS[model.config.net].taps], activations)
    found["features"] = nchw(features)
    found["grad_x"] = _gradient(golden, "x", model, Trunk.__call__, nhwc)
    return Outputs(found, frozenset({"x"}))


def lpips(golden: Golden) -> Outputs:
    """Computes every array of an LPIPS golden: the trunk's arrays are made, the heads are files."""
    heads = {f.name.split("_")[1]: f for f in golden.folder.iterdir() if f.suffix == ".pth"}
    model, older = (
        golden.convert(heads=str(heads[f"v{version}"]), version=version)
        for version in ("0.1", "0.0")
    )
    a, b = (jnp.asarray(nhwc(golden.arrays[name])) for name in ("in0", "in1"))

    @jax.jit
    def run(model: LPIPS, older: LPIPS, a: Any, b: Any) -> dict[str, Any]:
        activations = model.activations(a)
        names = [f"gap_slice{i + 1}" for i in range(len(activations))]
        return _means(names, activations) | {
            "distance": model(a, b),
            "per_layer": model.layers(a, b),
            "distance_no_lin": model(a, b, heads=False),
            "distance_v0_0": older(a, b),
            "distance_identical": model(a, a),
            "distance_normalize_01": model((a + 1) / 2, (b + 1) / 2, normalize=True),
            "spatial_map_first": model.spatial(a[:1], b[:1])[:, None],
        }

    found = run(model, older, a, b)
    found["grad_in0"] = _gradient(golden, "in0", model, lambda m, x: m(x, b), np.asarray)
    return Outputs(found, frozenset({"in0", "in1"}))


@jax.jit
def _encode(model: Encoder, x: Any) -> Any:
    return model.offsets(x), model.encode(x), model.backbone.activations(x)


def encoder(golden: Golden) -> Outputs:
    """Computes every array of a golden of pSp or e4e."""
    options = {"encoder_type": golden.meta["constructor"]["encoder_type"]}
    model: Any = golden.convert(**options)

    def layout(codes: Any) -> np.ndarray:  # an encoder into W has one code
        return np.asarray(codes if golden.arrays["codes"].ndim == 3 else codes[:, 0])

    offsets, codes, activations = _encode(model, nhwc(golden.arrays["x"]))
    names = ["gap_input_layer", *(f"gap_body_{i}" for i in range(len(activations) - 1))]
    found = _means(names, activations) | {"codes": layout(offsets)}
    if "w_plus" in golden.arrays:
        found["w_plus"] = layout(codes) if golden.arrays["w_plus"].ndim == 2 else codes
        found["image"] = nchw(jax.jit(lambda m, c: m.decoder.synthesize(c))(model, codes))
    if "grad_x" in golden.arrays:
        found["grad_x"] = _gradient(golden, "x", model, Encoder.offsets, _as_codes)
    return Outputs({n: found[n] for n in golden.arrays if n in found}, frozenset({"x"}))


def _as_codes(array: np.ndarray) -> np.ndarray:
    return array if array.ndim == 3 else array[:, None]
