"""What the goldens of the StyleGAN family hold, computed by our generators."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.parity.compare import Gradient, Outputs, weights
from benchmarks.parity.goldens import Golden, nchw, nhwc
from jaxlatent.generators import Generator, StyleGAN1, StyleGAN2, StyleGAN3
from jaxlatent.parameters import reconfigured

INPUTS = ("z", "c", "ws_plus", "grad_rand", "latent_avg")


@jax.jit
def _everything(generator: Generator, codes: Any, maps: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """Returns the images, and the first sample's features before and after every block."""
    inputs = generator.prepare(codes, maps or "const")
    states = [generator.start(inputs)]
    for index in range(generator.num_blocks):
        states.append(generator.block(index, states[-1], inputs))
    return generator.finish(states[-1], inputs), [state.features[0] for state in states]


def _synthesize(generator: Generator, codes: Any, maps: tuple[Any, ...] = ()) -> Any:
    return _everything(generator, codes, maps)[0]


def outputs(golden: Golden) -> Outputs:
    """Computes every array of a StyleGAN golden."""
    generator: Any = golden.convert()
    arrays = golden.arrays
    if "latent_avg" in arrays:  # training checkpoints have no mean of w; the golden brings it
        generator.mapping.w_avg[...] = jnp.asarray(arrays["latent_avg"])
    found: dict[str, Any] = {}
    found |= _mapping(generator, golden)
    maps = _given_noise(golden) if isinstance(generator, StyleGAN1) else ()
    found |= _images(generator, golden, found, maps)
    found |= _gradients(generator, golden, maps)
    if isinstance(generator, StyleGAN2):
        found |= _stylegan2(generator, golden)
    if isinstance(generator, StyleGAN1):
        found |= {f"style/style{i:02}": s for i, s in enumerate(generator.styles(found["ws"]))}
    found |= _grown(generator, golden, found)
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


def _given_noise(golden: Golden) -> tuple[Any, ...]:
    """Returns the noise maps that the golden brings, as files of StyleGAN 1 may have none."""
    names = _numbered(golden.arrays, "user_noise/")
    return tuple(jnp.asarray(golden.arrays[n][0]) for n in names)


def _mapping(generator: Generator, golden: Golden) -> dict[str, Any]:
    w = generator.map(jnp.asarray(golden.arrays["z"]), _label(golden))
    codes = generator.broadcast(w)
    psi, cutoff = _psi(golden)
    return {
        "w": w,
        "ws": codes,
        "w_trunc": generator.truncate(codes, psi),
        "w_trunc_cutoff": generator.truncate(codes, psi, min(cutoff, generator.num_layers)),
    }


def _images(
    generator: Generator, golden: Golden, found: Mapping[str, Any], maps: tuple[Any, ...]
) -> dict[str, Any]:
    cases = {
        "img": found["ws"],
        "img_trunc": found["w_trunc"],
        "img_trunc_cutoff": found["w_trunc_cutoff"],
    }
    if "ws_plus" in golden.arrays:
        cases["img_wplus"] = jnp.asarray(golden.arrays["ws_plus"])
    cases = {name: codes for name, codes in cases.items() if name in golden.arrays}
    images = {name: _synthesize(generator, codes, maps) for name, codes in cases.items()}
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


def _grown(generator: Any, golden: Golden, found: Mapping[str, Any]) -> dict[str, Any]:
    """Images of the same weights at other levels of detail: img_lod0.4 and so on."""
    images = {}
    for name in (n for n in golden.arrays if n.startswith("img_lod")):
        grown: Any = reconfigured(generator, lod=float(name.removeprefix("img_lod")))
        image = _synthesize(grown, found["ws"])
        images[name] = nchw(image)[: len(golden.arrays[name])]
    return images


def _gradients(generator: Generator, golden: Golden, maps: tuple[Any, ...]) -> dict[str, Gradient]:
    arrays, multiplier = golden.arrays, nhwc(weights(golden))

    def loss(generator: Any, codes: Any) -> Any:
        return jnp.sum(generator.synthesize(codes, maps or "const") * multiplier)

    def codes_of(z: Any) -> Any:
        return generator.broadcast(generator.map(z, _label(golden)))

    found = {"grad_z": Gradient(generator, loss, arrays["z"], codes_of)}
    for name in ("ws", "ws_plus"):
        if f"grad_{name}" in arrays:
            found[f"grad_{name}"] = Gradient(generator, loss, arrays[name])
    return found


def _stylegan2(generator: StyleGAN2, golden: Golden) -> dict[str, Any]:
    """Styles, features and given noise."""
    arrays, codes = golden.arrays, jnp.asarray(golden.arrays["ws"])
    ours = [style for block in generator.styles(codes) for style in block.values()]
    names = sorted((n for n in arrays if n.startswith("style/")), key=_style_order)
    found: dict[str, Any] = dict(zip(names, ours, strict=True))
    features = _everything(generator, codes, ())[1][1:]
    for name in (n for n in arrays if n.startswith("feat0/")):
        resolution = int("".join(c for c in name.partition("/")[2] if c.isdigit()))
        block = np.asarray(features[resolution.bit_length() - 3]).transpose(2, 0, 1)
        found[name] = block[: len(arrays[name])]
    if maps := _given_noise(golden):
        given = _synthesize(generator, codes, maps)
        found["img_user_noise"] = nchw(given)[: len(arrays["img_user_noise"])]
    return found


def _stylegan3(generator: StyleGAN3, golden: Golden) -> dict[str, Any]:
    """Styles and features: of the input, then of the layers by their numbers."""
    arrays, codes = golden.arrays, jnp.asarray(golden.arrays["ws"])
    ours = {"style/": generator.styles(codes), "feat0/": _everything(generator, codes, ())[1]}
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
    if "style" in part[0]:  # genforce: style00, output_style0, style01, style02, output_style1
        kind, _, number = part[0].rpartition("style")
        index = int(number)
        return (index, 2) if kind else ((index + 1) // 2, (index + 1) % 2)
    if part[0][:1] == "b" and part[0][1:].isdigit():  # b8.conv0
        return int(part[0][1:]), ("conv0", "conv1", "torgb", "skip").index(part[1])
    index = int(part[1]) if part[1].isdigit() else -1
    return {"conv1": (0, 0), "to_rgb1": (0, 2), "convs": (1 + index // 2, index % 2)}.get(
        part[0], (1 + index, 2)
    )
