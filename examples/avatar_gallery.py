"""Pictures of what needs a StyleGAN, on the avatars: `avatar_gallery.py OUT [--only NAME ...]`.

A column's number is how far a code moves, in standard deviations of the samples along the direction
(of the style channel). Costs are as in `finder_gallery.py`.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gallery import Page, fill

import jaxlatent
from jaxlatent import Directions, find
from jaxlatent.generators import StyleSpace
from jaxlatent.keys import seed_keys
from jaxlatent.scorers import score

AVATARS = (2, 36)  # seeds of those shown
SAMPLES, EXAMPLES, TRIED = 10_000, 30, 8
ATTRIBUTE, STRONGEST = "glasses", 20  # channels that StyleCLIP adds


def row(page: Page, view: Any, found: Directions, far: float, layers: Any = None) -> None:
    """Adds a row for each direction and avatar."""
    strengths = far * np.array([-1, -0.5, 0, 0.5, 1])
    page.columns = [f"{s:+.3g}" if s else "0" for s in strengths]
    for one in found:
        for seed in AVATARS:
            codes = view.broadcast(view.map(view.sample_z(seed_keys([seed]), 1)))
            page.images.append(jaxlatent.sweep(view, codes, one, strengths, layers=layers)[0, 0])
            page.labels.append(f"{one.names[0]}, {seed}")


def samples(page: Page) -> Any:
    """Draws codes in w."""
    return jax.jit(lambda g, z: g.map(z))(page.generator, page.z(SAMPLES))


def sefa_layers(page: Page) -> None:
    """The first direction of an early, a middle and a late layer."""
    affines, w = page.generator.affines(), np.asarray(samples(page))
    found = page.time(
        "sefa, per layer", f"{len(affines)} layers", lambda: find.sefa(affines, 1, per_layer=True)
    ).bind(page.generator, space="w+")
    for layer in (1, 3, 6):
        across = (w @ np.asarray(found.vectors)[:, layer].T).std(axis=0)
        one = replace(found, scale=across, names=[f"layer {layer}"])
        row(page, page.generator, one, 4, layers=[layer])


def components(page: Page) -> None:
    """The first three principal components of w."""
    w = samples(page)
    found = page.time("ganspace", f"{SAMPLES} codes in w", lambda: find.ganspace(w, 3))
    row(page, page.generator, found.bind(page.generator, space="w"), 2)


def channels(page: Page) -> None:
    """One style channel by examples and one by effect, and all that have one."""
    view, net = StyleSpace(page.generator), jaxlatent.load_model("avatars-attributes")
    w = samples(page)
    codes = page.generator.broadcast(w)
    column = score(page.generator, codes, net)[:, net.names.index(ATTRIBUTE)]
    styles = jax.jit(lambda v, c: v.to_styles(c))(view, codes)
    statistics = find.channel_statistics(styles)
    examples = styles[jnp.asarray(np.argsort(-column)[:EXAMPLES])]
    ranked = page.time(
        "stylespace",
        f"{EXAMPLES} examples of {SAMPLES} samples",
        lambda: find.stylespace(view, examples, statistics, 1),
    )
    effects = page.time(
        "channel_effects",
        f"{len(view.feature_channels)} channels, {TRIED} samples",
        lambda: find.channel_effects(view, styles[:TRIED], net.scorer(ATTRIBUTE), statistics),
        warm=False,
    )
    most = find.stylespace_by_effect(view, effects, statistics, 1)
    threshold = float(np.sort(np.abs(effects))[-STRONGEST])
    walk = find.styleclip(view, effects, statistics, threshold, f"{STRONGEST} together")
    print("effects of the strongest", np.sort(np.abs(effects))[-STRONGEST:].round(2))
    for method, found in (("examples", ranked), ("effect", most), ("effect", walk)):
        row(page, view, replace(found, names=[f"{method}: {found.names[0]}"]), 6)


METHODS = (sefa_layers, components, channels)


if __name__ == "__main__":
    fill(__doc__, METHODS, lambda: jaxlatent.load("avatars"), "avatars_")
