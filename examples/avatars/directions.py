"""Measures directions in w: `python -m examples.avatars.directions GENERATOR PREDICTOR OUT`.

The difference of means of each attribute, learned from scored samples; then other samples step to
both sides along each, and every attribute is read again. OUT gets `directions.json` and
`directions.md`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

import jaxlatent
from examples.avatars.checkpoints import read_net
from jaxlatent import Directions, find
from jaxlatent.generators import Generator
from jaxlatent.keys import per_sample, seed_keys
from jaxlatent.networks import AttributeNet
from jaxlatent.scorers import score

TRAINED, TESTED = 10_000, 256
REACHES = (1.0, 1.5, 2.0, 3.0)  # distances of the means
LOW, HIGH = 0.1, 0.9


def samples(generator: Generator, keys: Array) -> Float[Array, "n d"]:
    """Returns w of the samples of these keys."""
    return generator.map(generator.sample_z(keys, keys.shape[0]))


def learned(generator: Generator, net: AttributeNet, names: Sequence[str]) -> Directions:
    """Returns the difference of means in w for each attribute."""
    w = samples(generator, per_sample(jax.random.key(5), TRAINED))
    table = score(generator, generator.broadcast(w), net)
    columns = [net.names.index(name) for name in names]
    found = find.difference_of_means(np.asarray(w), table[:, columns], names, threshold=0.0)
    return found.bind(generator, space="w")


def probabilities(
    generator: Generator, net: AttributeNet, codes: Array, direction: Directions, step: float
) -> Float[np.ndarray, "n a"]:
    """Returns every attribute's probability (a factor's value) after a step along a direction."""
    moved = jaxlatent.edit(generator, codes, jaxlatent.Edit(direction, [step]))
    table = score(generator, moved, net)
    odds = slice(0, len(net.names) - len(net.config.factors))
    table[:, odds] = jax.nn.sigmoid(table[:, odds])
    return table


def measure(generator: Generator, net: AttributeNet, names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns for each attribute what its sweep does, at the reach that moves most samples."""
    found = learned(generator, net, names)
    codes = generator.broadcast(samples(generator, seed_keys(range(TESTED))))
    rows = []
    for direction, name in zip(found, names, strict=True):
        own = net.names.index(name)
        others = [i for i, other in enumerate(net.names) if _category(other) != _category(name)]
        tried = []
        for reach in REACHES:
            low, high = (
                probabilities(generator, net, codes, direction, side * reach) for side in (-1, 1)
            )
            moved = (low[:, own] < LOW) & (high[:, own] > HIGH)
            change = np.abs(high - low).mean(axis=0)
            tried.append(
                {
                    "attribute": name,
                    "reach": reach,
                    "moved": float(moved.mean()),
                    "change": float(change[own]),
                    "others": float(change[others].mean()),
                    "most_changed": net.names[max(others, key=lambda i: change[i])],
                    "most_change": float(change[others].max()),
                }
            )
        enough = [row for row in tried if row["moved"] > 0.5]
        rows.append(enough[0] if enough else max(tried, key=lambda row: row["moved"]))
    return rows


def _category(name: str) -> str:
    return name.partition(":")[0]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the measurements as a table in Markdown, most samples moved first."""
    lines = [
        "| attribute | samples moved | own change | mean change of others | most changed other "
        "| reach |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: -row["moved"]):
        lines.append(
            f"| {row['attribute']} | {row['moved']:.0%} | {row['change']:.2f} | "
            f"{row['others']:.3f} | {row['most_changed']} ({row['most_change']:.2f}) | "
            f"{row['reach']:g} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures every attribute that is not a factor."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("generator", "predictor"):
        parser.add_argument(name)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    generator, net = jaxlatent.load(arguments.generator), read_net(arguments.predictor)
    names = net.names[: len(net.names) - len(net.config.factors)]
    rows = measure(generator, net, names)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "directions.json").write_text(json.dumps(rows, indent=1) + "\n")
    (arguments.out / "directions.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
