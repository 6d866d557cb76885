"""An InfoGAN trained on handwritten digits, and what its codes do: `infogan_digits.py OUT`.

The 1797 digits come with scikit-learn; each is redrawn with a random slant and thickness, so that
there is something to find. Their labels train nothing. They only judge, at the end.
"""

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, Key
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits

import jaxlatent
from jaxlatent import Edit, Generator, find
from jaxlatent.generators import InfoGAN, InfoGANConfig
from jaxlatent.sheet import contact_sheet

STEPS, BATCH, SIDE = 3000, 64, 16
NOISE, CATEGORIES, CONTINUOUS = 8, 10, 2
INFORMATION = 0.3  # weight of the continuous codes' squared error
BLUR = 0.2  # standard deviation of the noise on all that the critic sees while it learns
AVERAGE = 0.995  # of the generator's weights, in each step
SLANT, THICKNESS = 0.25, 0.15
SHOWN = (7, 10, 18)  # keys of the noise
CONFIG = InfoGANConfig(
    z_dim=NOISE + CATEGORIES + CONTINUOUS,
    channels=(64, 32, 1),
    kernels=(4, 4, 4),
    strides=(1, 2, 2),
    paddings=(0, 1, 1),
    output_paddings=(0, 0, 0),
    biases=(False, False, True),
    norms=(True, True, False),
    num_noise=NOISE,
    categorical=(CATEGORIES,),
    num_continuous=CONTINUOUS,
)
GENERATOR_ADAM, CRITIC_ADAM = optax.adam(2e-3, 0.5, 0.99), optax.adam(1e-3, 0.5, 0.99)


class Guess(NamedTuple):
    """What the critic makes of images."""

    real: Float[Array, " n"]
    category: Float[Array, "n c"]
    continuous: Float[Array, "n k"]


class Critic(nnx.Module):
    """Tells whether an image is real, and guesses the codes that it was made from."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.wide = nnx.Conv(1, 32, (4, 4), 2, rngs=rngs)
        self.deep = nnx.Conv(32, 64, (4, 4), 2, rngs=rngs)
        self.deep_norm = nnx.LayerNorm(64, rngs=rngs)
        self.whole = nnx.Linear(64 * (SIDE // 4) ** 2, 128, rngs=rngs)
        self.whole_norm = nnx.LayerNorm(128, rngs=rngs)
        self.real = nnx.Linear(128, 1, rngs=rngs)
        self.hidden = nnx.Linear(128, 64, rngs=rngs)
        self.codes = nnx.Linear(64, CATEGORIES + CONTINUOUS, rngs=rngs)

    def __call__(self, images: Float[Array, "n h w 1"]) -> Guess:
        """Returns logits of being real and of the categories, and the continuous codes."""
        act = partial(nnx.leaky_relu, negative_slope=0.2)
        x = act(self.deep_norm(self.deep(act(self.wide(images)))))
        x = act(self.whole_norm(self.whole(x.reshape(len(x), -1))))
        codes = self.codes(act(self.hidden(x)))
        return Guess(self.real(x)[:, 0], codes[:, :CATEGORIES], codes[:, CATEGORIES:])


class State(NamedTuple):
    """All that a step changes; `average` is the generator that is kept."""

    generator: InfoGAN
    critic: Critic
    average: InfoGAN
    adam: tuple[Any, Any]


def digits() -> tuple[Float[Array, "n 32 32"], Int[np.ndarray, " n"]]:
    """Returns the digits' ink in [0, 1], enlarged from 8x8 pixels, and their labels."""
    known = load_digits()
    ink = jnp.asarray(known.images / 16, jnp.float32)
    return jax.image.resize(ink, (len(ink), 32, 32), "cubic"), known.target


def redraw(
    images: Float[Array, "n 32 32"], key: Key[Array, ""]
) -> tuple[Float[Array, "n h w 1"], Float[Array, "n 2"]]:
    """Returns the digits in [-1, 1], each with a slant and a thickness of its own in [-1, 1]."""
    y, x = jnp.meshgrid(*[(jnp.arange(SIDE) + 0.5) / SIDE * 2 - 1] * 2, indexing="ij")

    def one(image: Array, change: Array) -> Array:
        places = [16 * v + 15.5 for v in (y, 1.15 * (x + SLANT * change[0] * y))]
        ink = jax.scipy.ndimage.map_coordinates(image, places, 1, "constant")
        return jnp.tanh(5 * (ink - 0.42 + THICKNESS * change[1]))[..., None]

    changes = jax.random.uniform(key, (len(images), 2), minval=-1, maxval=1)
    return jax.vmap(one)(images, changes), changes


def generate(generator: InfoGAN, z: Float[Array, "n z"], settle: bool = False) -> Array:
    """Renders with the batch's own statistics; with `settle`, they become the stored ones."""
    x = z[:, None, None]
    for layer in generator.layers:
        x = layer.convolve(x)
        if layer.norm is None:
            continue
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        if settle:
            layer.norm.mean[...], layer.norm.variance[...] = mean, variance
        scale = layer.norm.scale[...] * jax.lax.rsqrt(variance + generator.config.norm_epsilon)
        shift = layer.norm.bias[...] - mean * scale
        x = jax.nn.relu(x * scale[None, None, None] + shift[None, None, None])
    return jnp.tanh(x)


def missed(guess: Guess, z: Float[Array, "n z"]) -> Float[Array, ""]:
    """Returns what the guesses miss of the codes: a bound on the information, with a minus."""
    category, continuous = jnp.split(z[:, NOISE:], [CATEGORIES], axis=1)
    entropy = optax.softmax_cross_entropy(guess.category, category).mean()
    return entropy + INFORMATION * jnp.square(guess.continuous - continuous).mean()


def critic_loss(critic: Critic, real: Array, fake: Array, z: Array) -> Array:
    """Is low where real and generated images are told apart and codes are read off."""
    guess = critic(fake)
    told = jax.nn.softplus(-critic(real).real) + jax.nn.softplus(guess.real)
    return told.mean() + missed(guess, z)


def generator_loss(generator: InfoGAN, critic: Critic, z: Array, blur: Array) -> Array:
    """Is low where generated images pass for real and show their codes."""
    guess = critic(generate(generator, z) + blur)
    return jax.nn.softplus(-guess.real).mean() + missed(guess, z)


@jax.jit
def step(state: State, images: Array, key: Key[Array, ""]) -> tuple[State, Float[Array, "2"]]:
    """Returns the networks after one step, and the losses of critic and generator."""
    generator, critic, average, (generator_adam, critic_adam) = state
    chosen, drawn, codes, blurred = jax.random.split(key, 4)
    picked = jax.random.choice(chosen, len(images), (BATCH,))
    real, _ = redraw(images[picked], drawn)
    z = generator.sample_z(codes, BATCH)
    blur = BLUR * jax.random.normal(blurred, (2, *real.shape))
    fake = generate(generator, z) + blur[0]
    told, slope = jax.value_and_grad(critic_loss)(critic, real + blur[1], fake, z)
    passed, climb = jax.value_and_grad(generator_loss)(generator, critic, z, blur[0])
    update, critic_adam = CRITIC_ADAM.update(slope, critic_adam)
    critic = optax.apply_updates(critic, update)
    update, generator_adam = GENERATOR_ADAM.update(climb, generator_adam)
    generator = optax.apply_updates(generator, update)
    average = optax.incremental_update(generator, average, 1 - AVERAGE)
    adam = generator_adam, critic_adam
    return State(generator, critic, average, adam), jnp.stack([told, passed])


def train(
    images: Float[Array, "n 32 32"], key: Key[Array, ""], steps: int
) -> tuple[InfoGAN, Critic, Float[np.ndarray, "steps 2"]]:
    """Returns the averaged generator, with its statistics stored, the critic, and all losses."""
    generator, critic = InfoGAN(CONFIG, rngs=nnx.Rngs(key)), Critic(rngs=nnx.Rngs(key))
    adam = GENERATOR_ADAM.init(generator), CRITIC_ADAM.init(critic)
    state, losses = State(generator, critic, generator, adam), []
    for i in range(steps):
        state, loss = step(state, images, jax.random.fold_in(key, i))
        losses.append(loss)
        if i % 500 == 499:
            print(f"{i + 1} of {steps} steps, losses {loss}", flush=True)
    generate(state.average, state.average.sample_z(key, 4096), settle=True)
    return state.average, state.critic, np.asarray(jnp.stack(losses))


def judge(
    generator: InfoGAN, critic: Critic, images: Array, labels: Int[np.ndarray, " n"]
) -> dict[str, Any]:
    """Measures what the codes mean, with the labels and with changes that are known."""
    key = jax.random.key(1)
    z = generator.sample_z(key, 2000)
    real, changes = redraw(images, key)
    look = jax.jit(Critic.__call__)
    guess, read = look(critic, real), look(critic, jaxlatent.render(generator, z[:, None]))
    counts = np.zeros((CATEGORIES, 10), int)
    np.add.at(counts, (np.asarray(guess.category).argmax(1), labels), 1)
    rows, columns = linear_sum_assignment(-counts)

    def correlation(a: Array, b: Array) -> list[list[float]]:
        return np.corrcoef(a, b, rowvar=False)[:2, 2:].round(2).tolist()

    return {
        "share of digits in the category of their label": round(
            counts[rows, columns].sum() / len(labels), 3
        ),
        "labels of the categories": [int(c) for c in columns],
        "codes, guessed against given": correlation(read.continuous, z[:, -2:]),
        "guessed codes against slant and thickness": correlation(guess.continuous, changes),
    }


def show(generator: Generator, file: Path) -> None:
    """Draws all categories, each along the continuous codes and with other noise."""
    found = find.infogan_codes(generator)
    continuous, categories = found[:CONTINUOUS], found[CONTINUOUS:]
    strengths = {"-1": -1.0, "0": 0.0, "+1": 1.0}  # all that the training has seen

    def codes(seed: int) -> Array:
        z = generator.sample_z(jax.random.key(seed), 1).at[:, NOISE:].set(0)
        blank = jnp.broadcast_to(z[:, None], (CATEGORIES, 1, generator.z_dim))
        return jaxlatent.edit(generator, blank, Edit(categories, jnp.eye(CATEGORIES)))

    first, *others = SHOWN
    moved = jaxlatent.sweep(generator, codes(first), continuous, list(strengths.values()))
    rows = [moved[:, k, s] for k in range(CONTINUOUS) for s in range(len(strengths))]
    labels = [f"{name}: {s}" for name in continuous.names for s in strengths]
    rows += [jaxlatent.render(generator, codes(seed)) for seed in others]
    labels += ["other noise"] * len(others)
    names = [name.removeprefix("categorical 0 ") for name in categories.names]
    sheet = contact_sheet(np.stack(rows), labels, names)
    sheet = sheet.resize((sheet.width // 2, sheet.height // 2)).convert("L")
    sheet.save(file, quality=70, optimize=True)


def main(out: str, steps: int = STEPS) -> dict[str, Any]:
    """Writes the generator as a bundle `model` and the picture `infogan.jpg` into a folder."""
    folder, start = Path(out), time.process_time()
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = digits()
    generator, critic, losses = train(images, jax.random.key(0), steps)
    report = {"CPU seconds": round(time.process_time() - start), "losses": losses[-1].tolist()}
    report |= judge(generator, critic, images, labels)
    jaxlatent.save(generator, folder / "model")
    show(jaxlatent.load(folder / "model"), folder / "infogan.jpg")
    print(*(f"{name}: {value}" for name, value in report.items()), sep="\n")
    return report | {"all losses": losses}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
