"""What the goldens of the StyleGAN family hold, computed by our generators."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.parity.compare import Gradient, Outputs, weights
from benchmarks.parity.goldens import Golden, nchw, nhwc
from jaxlatent.generators import Generator, StyleGAN2, StyleGAN3

INPUTS = ("z", "c", "ws_plus", "grad_rand", "latent_avg")


@jax.jit
def _everything(generator: Generator, codes: Any) -> tuple[Any, list[Any]]:
    """Returns the images, and the first sample's features before and after every block."""
    inputs = generator.prepare(codes)
    states = [generator.start(inputs)]
    for index in range(generator.num_blocks):
        states.append(generator.block(index, states[-1], inputs))
    return generator.finish(states[-1], inputs), [state.features[0] for state in states]


def _synthesize(generator: Generator, codes: Any) -> Any:
    return _everything(generator, codes)[0]


def outputs(golden: Golden) -> Outputs:
    """Computes every array of a StyleGAN golden."""
    generator: Any = golden.convert()
    arrays = golden.arrays
    if "latent_avg" in arrays:  # training checkpoints have no mean of w; the golden brings it
        generator.mapping.w_avg[...] = jnp.asarray(arrays["latent_avg"])
    found: dict[str, Any] = {}
    found |= _mapping(generator, golden)
    found |= _images(generator, golden, found)
    found |= _gradients(generator, golden)
    if isinstance(generator, StyleGAN2):
        found |= _stylegan2(generator, golden)
    if isinstance(generator, StyleGAN3):
        found |= _stylegan3(generator, golden)
    inputs = {n for n in arrays if n in INPUTS or n.startswith(("user_noise/", "d_logits"))}
    return Outputs({n: found[n] for n in arrays if n in found}, frozenset(inputs))


def _label(golden: Golden) -> Any:
    return jnp.asarray(golden.arrays["c"]) if "c" in golden.arrays else None


def _psi(golden: Golden) -> tuple[float, int]:
    """Returns truncation and its cutoff."""
    meta = golden.meta
    psi = meta.get("truncation_psi") or meta.get("trunc_psi") or meta.get("truncation")
    cutoff = meta.get("truncation_cutoff") or meta.get("trunc_layers_cutoff") or 0
    return float(psi or 0.7), int(cutoff)


def _mapping(generator: Generator, golden: Golden) -> dict[str, Any]:
    w = generator.map(jnp.asarray(golden.arrays["z"]), _label(golden))
    codes = generator.broadcast(w)
    psi, cutoff = _psi(golden)
    return {
        "w": w,
        "ws": codes,
        "w_trunc": generator.truncate(codes, psi),
        "w_trunc_cutoff": generator.truncate(codes, psi, cutoff),
    }


def _images(generator: Generator, golden: Golden, found: Mapping[str, Any]) -> dict[str, Any]:
    cases = {
        "img": found["ws"],
        "img_trunc": found["w_trunc"],
        "img_trunc_cutoff": found["w_trunc_cutoff"],
    }
    if "ws_plus" in golden.arrays:
        cases["img_wplus"] = jnp.asarray(golden.arrays["ws_plus"])
    images = {name: _synthesize(generator, codes) for name, codes in cases.items()}
    if "img_nonoise" in golden.arrays:
        silent = jax.jit(lambda g, c: g.synthesize(c, noise="none"))
        images["img_nonoise"] = silent(generator, found["ws"])
    for name in (n for n in golden.arrays if n.startswith("img_mix_inject")):
        index = int(name.removeprefix("img_mix_inject"))
        mixed = jnp.concatenate([found["ws"][:, :index], found["ws"][::-1, index:]], axis=1)
        images[name] = _synthesize(generator, mixed)
    return {
        name: nchw(image)[: len(golden.arrays[name])]
        for name, image in images.items()
        if name in golden.arrays
    }


def _gradients(generator: Generator, golden: Golden) -> dict[str, Gradient]:
    arrays, multiplier = golden.arrays, nhwc(weights(golden))

    def loss(codes: Any) -> Any:
        return jnp.sum(generator.synthesize(codes) * multiplier)

    def codes_of(z: Any) -> Any:
        return generator.broadcast(generator.map(z, _label(golden)))

    found = {"grad_z": Gradient(loss, arrays["z"], codes_of)}
    for name in ("ws", "ws_plus"):
        if f"grad_{name}" in arrays:
            found[f"grad_{name}"] = Gradient(loss, arrays[name])
    return found


def _stylegan2(generator: StyleGAN2, golden: Golden) -> dict[str, Any]:
    """Styles, features and given noise."""
    arrays, codes = golden.arrays, jnp.asarray(golden.arrays["ws"])
    ours = [style for block in generator.styles(codes) for style in block.values()]
    names = sorted((n for n in arrays if n.startswith("style/")), key=_style_order)
    found: dict[str, Any] = dict(zip(names, ours, strict=True))
    features = _everything(generator, codes)[1][1:]
    for name in (n for n in arrays if n.startswith("feat0/")):
        resolution = int("".join(c for c in name.partition("/")[2] if c.isdigit()))
        block = np.asarray(features[resolution.bit_length() - 3]).transpose(2, 0, 1)
        found[name] = block[: len(arrays[name])]
    maps = [arrays[n][0] for n in _numbered(arrays, "user_noise/")]
    if maps:
        given = jax.jit(lambda g, c, m: g.synthesize(c, noise=m))(generator, codes, maps)
        found["img_user_noise"] = nchw(given)[: len(arrays["img_user_noise"])]
    return found


def _stylegan3(generator: StyleGAN3, golden: Golden) -> dict[str, Any]:
    """Styles and features: of the input, then of the layers by their numbers."""
    arrays, codes = golden.arrays, jnp.asarray(golden.arrays["ws"])
    ours = {"style/": generator.styles(codes), "feat0/": _everything(generator, codes)[1]}
    found: dict[str, Any] = {}
    for prefix, values in ours.items():
        for name in (n for n in arrays if n.startswith(prefix)):
            layer = name.removeprefix(prefix).partition("_")[0]  # "input..." or L8
            found[name] = values[int(layer[1:]) + 1 if layer[1:].isdigit() else 0]
    for name in (n for n in found if n.startswith("feat0/")):
        found[name] = np.asarray(found[name]).transpose(2, 0, 1)[: len(arrays[name])]
    return found


def _numbered(arrays: Mapping[str, np.ndarray], prefix: str) -> list[str]:
    names = [n for n in arrays if n.startswith(prefix)]
    return sorted(names, key=lambda n: int(n.removeprefix(prefix)))


def _style_order(name: str) -> tuple[int, int]:
    """Puts the originals' names of styles into our order: by block, convolutions, image."""
    part = name.removeprefix("style/").split(".")
    if part[0][:1] == "b" and part[0][1:].isdigit():  # b8.conv0
        return int(part[0][1:]), ("conv0", "conv1", "torgb", "skip").index(part[1])
    index = int(part[1]) if part[1].isdigit() else -1
    return {"conv1": (0, 0), "to_rgb1": (0, 2), "convs": (1 + index // 2, index % 2)}.get(
        part[0], (1 + index, 2)
    )
