"""Measures a run's generator: `python -m examples.avatars.evaluate RUN DATA PREDICTOR OUT.json`.

Distances are to the held-out avatars; the same between training and held-out avatars says what a
perfect generator would reach.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from examples.avatars.checkpoints import read_net
from examples.avatars.data import Avatars, load, split, to_float
from examples.avatars.distances import coverage, frechet_distance, frequencies
from examples.avatars.export import averaged
from jaxlatent.generators import StyleGAN2
from jaxlatent.keys import per_sample
from jaxlatent.networks import AttributeNet

_BATCH = 100


@jax.jit
def _read(net: AttributeNet, images: Array) -> tuple[Array, list[Array]]:
    return net.embed(images), [values.argmax(1) for values in net(images)[0]]


@jax.jit
def _render(generator: StyleGAN2, keys: Array) -> Float[Array, "n h w c"]:
    codes = generator.broadcast(generator.map(generator.sample_z(keys, keys.shape[0])))
    return jnp.clip(generator.synthesize(codes, "none"), -1, 1)


def read(net: AttributeNet, batches: Iterable[Array]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the embeddings [n, d] and the predicted categories [n, a] of batches of images."""
    parts = [jax.device_get(_read(net, batch)) for batch in batches]
    return (
        np.concatenate([embedding for embedding, _ in parts]),
        np.concatenate([np.stack(labels, axis=1) for _, labels in parts]),
    )


def evaluate(generator: StyleGAN2, net: AttributeNet, avatars: Avatars) -> dict[str, Any]:
    """Returns distances and attribute frequencies of untruncated samples.

    Args:
        generator: of any step; its samples are as many as the held-out avatars.
        net: whose features and predictions are compared.
        avatars: all rendered avatars.
    """
    training, held_out = split(avatars)
    count = len(held_out)
    keys = per_sample(jax.random.key(2), count)
    starts = range(0, count, _BATCH)

    def rendered(rows: Avatars) -> Iterable[Array]:
        return (to_float(jnp.asarray(rows.images[i : i + _BATCH])) for i in starts)

    real, real_labels = read(net, rendered(held_out))
    other, _ = read(net, rendered(training[:count]))
    fake, fake_labels = read(net, (_render(generator, keys[i : i + _BATCH]) for i in starts))
    table: dict[str, Any] = {}
    for i, (name, values) in enumerate(avatars.schema.categories.items()):
        shares = [frequencies(x[:, i], len(values)) for x in (real_labels, fake_labels)]
        table[name] = {
            "apart": round(float(np.abs(shares[0] - shares[1]).sum() / 2), 4),
            "real": dict(zip(values, shares[0].round(4).tolist(), strict=True)),
            "generated": dict(zip(values, shares[1].round(4).tolist(), strict=True)),
        }
    return {
        "frechet_distance": frechet_distance(fake, real),
        "frechet_distance_of_training_avatars": frechet_distance(other, real),
        "precision": coverage(fake, real),
        "recall": coverage(real, fake),
        "recall_of_training_avatars": coverage(real, other),
        "categories": table,
    }


def main() -> None:
    """Writes the measurements as JSON and prints those that are one number."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("run", "data", "predictor", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    generator, images = averaged(arguments.run)
    results = {"images": images}
    results |= evaluate(generator, read_net(arguments.predictor), load(arguments.data))
    arguments.out.write_text(json.dumps(results, indent=1) + "\n")
    for name, value in results.items():
        if not isinstance(value, dict):
            print(f"{name} {value:.4g}")


if __name__ == "__main__":
    main()
