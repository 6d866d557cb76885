"""Trains an attribute network on labelled renders, calibrates it, and reports its accuracy.

python -m examples.avatars.train_predictor DATA OUT.safetensors [--size predictor|features]
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from examples.avatars.data import HIDDEN, Avatars, draw, load, split, to_float
from jaxlatent.exports import save_safetensors
from jaxlatent.networks import AttributeNet, AttributesConfig
from jaxlatent.parameters import cast, reconfigured

SIZES: dict[str, dict[str, Any]] = {
    "predictor": {"widths": (24, 48, 96, 128), "depth": 1},
    "features": {"widths": (32, 48, 64, 96), "depth": 0},  # the discriminator's frozen eyes
}
BATCH = 32
PEAK_RATE = 2e-3
NOISE = 0.15  # the largest deviation of the noise added in training


def category_losses(
    logits: tuple[Float[Array, "n _"], ...], categories: Int[Array, "n a"]
) -> Float[Array, " a"]:
    """Returns each category's mean cross-entropy over the images that show it."""
    seen = categories != HIDDEN
    each = [
        optax.softmax_cross_entropy_with_integer_labels(
            jnp.float32(values), jnp.maximum(categories[:, i], 0)
        )
        for i, values in enumerate(logits)
    ]
    weights = seen.astype(jnp.float32)
    return (jnp.stack(each, axis=1) * weights).sum(0) / jnp.maximum(weights.sum(0), 1)


def degrade(images: Float[Array, "n h w 3"], key: jax.Array) -> Float[Array, "n h w 3"]:
    """Adds noise of a random strength to each image, so that no single pixel is trusted."""
    strength, noise = jax.random.split(key)
    levels = jax.random.uniform(strength, (images.shape[0], 1, 1, 1), maxval=NOISE)
    return images + levels * jax.random.normal(noise, images.shape)


def train(avatars: Avatars, config: AttributesConfig, steps: int, seed: int) -> AttributeNet:
    """Returns a network trained by Adam for `steps` steps under a cosine schedule."""
    graph, params = nnx.split(AttributeNet(config, rngs=nnx.Rngs(seed)))
    schedule = optax.warmup_cosine_decay_schedule(0.0, PEAK_RATE, min(200, steps // 10), steps)
    optimizer = optax.adam(schedule)
    key = jax.random.fold_in(jax.random.key(seed), 1)
    data = tuple(map(jnp.asarray, (avatars.images, avatars.categories, avatars.factors)))

    @jax.jit
    def update(params: Any, state: Any, data: tuple[Array, ...], step: Array) -> tuple[Any, ...]:
        order, noise = jax.random.split(jax.random.fold_in(key, step))
        images, rows = draw(data[0], order, BATCH)
        images = degrade(to_float(images), noise)

        def loss(params: Any) -> Array:
            logits, factors = nnx.merge(graph, params)(images)
            error = jnp.mean(jnp.square(factors - data[2][rows]), axis=0)
            return category_losses(logits, data[1][rows]).sum() + 4 * error.sum()

        value, gradient = jax.value_and_grad(loss)(params)
        change, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, change), state, value

    state = optimizer.init(params)
    for step in range(steps):
        params, state, value = update(params, state, data, step)
        if step % 200 == 0 or step + 1 == steps:
            print(f"step {step} of {steps}, loss {value:.3f}", flush=True)
    return nnx.merge(graph, params)


def outputs(net: AttributeNet, avatars: Avatars) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the logits of each category and the factors for all avatars."""

    def chunks() -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        for start in range(0, len(avatars), 250):
            images = to_float(jnp.asarray(avatars.images[start : start + 250]))
            yield jax.device_get(jax.jit(lambda net, x: net(x))(net, images))

    logits, factors = zip(*chunks(), strict=True)
    return [np.concatenate(parts) for parts in zip(*logits, strict=True)], np.concatenate(factors)


def fit_temperatures(logits: list[np.ndarray], categories: np.ndarray) -> tuple[float, ...]:
    """Returns for each category the divisor of its logits that makes held-out labels likeliest."""
    grid = np.geomspace(0.2, 5.0, 161)

    def best(values: np.ndarray, labels: np.ndarray) -> float:
        seen = labels != HIDDEN
        scaled = values[seen][None] / grid[:, None, None]
        chosen = np.take_along_axis(scaled, labels[seen][None, :, None], axis=2)[..., 0]
        likelihood = chosen - np.logaddexp.reduce(scaled, axis=2)
        return float(grid[np.argmax(likelihood.mean(1))])

    return tuple(best(v, categories[:, i]) for i, v in enumerate(logits))


def calibrated(net: AttributeNet, avatars: Avatars) -> AttributeNet:
    """Returns the network with the temperatures that these avatars, not trained on, ask for."""
    temperatures = fit_temperatures(outputs(net, avatars)[0], avatars.categories)
    categories = tuple(
        dataclasses.replace(category, temperature=category.temperature * temperature)
        for category, temperature in zip(net.config.categories, temperatures, strict=True)
    )
    return reconfigured(net, categories=categories)


def report(net: AttributeNet, avatars: Avatars) -> dict[str, dict[str, float]]:
    """Returns accuracy and calibration error of each category, and r2 of each factor."""
    logits, factors = outputs(net, avatars)
    lines: dict[str, dict[str, float]] = {}
    for i, name in enumerate(avatars.schema.categories):
        labels = avatars.categories[:, i]
        seen = labels != HIDDEN
        scaled = logits[i][seen]
        probability = np.exp(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True))
        right = probability.argmax(1) == labels[seen]
        error = calibration_error(probability.max(1), right)
        lines[name] = {"accuracy": float(right.mean()), "calibration_error": error}
    for i, name in enumerate(avatars.schema.factors):
        truth = avatars.factors[:, i]
        r2 = 1 - np.mean((factors[:, i] - truth) ** 2) / truth.var()
        lines[name] = {"r2": float(r2)}
    return lines


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Returns the expected gap between confidence and accuracy over equal-width bins."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(which, confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def main() -> None:
    """Trains, calibrates on one half of the held-out avatars, reports on the other, saves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", choices=SIZES, default="predictor")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    training, rest = split(load(arguments.data))
    fitting, testing = split(rest, len(rest) // 2)
    config = training.schema.config(side=training.images.shape[1], **SIZES[arguments.size])
    net = calibrated(train(training, config, arguments.steps, arguments.seed), fitting)
    net = cast(cast(net, "float16"), "float32")  # what is reported is what is saved
    lines = report(net, testing)
    save_safetensors(cast(net, "float16"), arguments.out)
    arguments.out.with_suffix(".json").write_text(json.dumps(lines, indent=1) + "\n")
    for name, line in lines.items():
        print(name, *(f"{what} {value:.4f}" for what, value in line.items()))
    accuracies = [line["accuracy"] for line in lines.values() if "accuracy" in line]
    print(f"mean accuracy {np.mean(accuracies):.4f}")


if __name__ == "__main__":
    main()
