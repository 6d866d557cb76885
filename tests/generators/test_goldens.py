"""Every golden, array by array: our generators against what the original code computed."""

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from goldens import nchw

from jaxlatent.generators import layers

TOLERANCE = 1e-4  # of the largest absolute value, forward and gradient
UNDECIDED = 1e-6  # of a layer's largest input: below this, float32 does not know the sign
STYLEGAN2 = goldens.names("ada_", "sg3repo_stylegan2_", "rosinality_")
DCGAN = goldens.names("dcgan_")


def error(ours, theirs) -> float:
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def check(ours, theirs):
    assert ours.shape == theirs.shape
    assert error(ours, theirs) <= TOLERANCE


@jax.jit
def synthesize(generator, codes):
    return generator.synthesize(codes)


def labels(arrays):
    return jnp.asarray(arrays["c"]) if "c" in arrays else None


@pytest.fixture(params=STYLEGAN2)
def stylegan2(request):
    return goldens.load(request.param)


@pytest.fixture(params=DCGAN)
def dcgan(request):
    return goldens.load(request.param)


def test_the_goldens_are_here():
    assert len(STYLEGAN2) >= 5
    assert len(DCGAN) >= 3


def test_stylegan2_mapping_and_truncation(stylegan2):
    generator, arrays, meta = stylegan2
    w = generator.map(jnp.asarray(arrays["z"]), labels(arrays))
    codes = generator.broadcast(w)
    check(w, arrays["w"])
    check(codes, arrays["ws"])
    check(generator.truncate(codes, 0.7), arrays["w_trunc"])
    if "w_trunc_cutoff" in arrays:
        cut = generator.truncate(codes, 0.7, meta["truncation_cutoff"])
        check(cut, arrays["w_trunc_cutoff"])


def test_stylegan2_styles(stylegan2):
    generator, arrays, _ = stylegan2
    codes = jnp.asarray(arrays["ws"])
    ours = [style for block in generator.styles(codes) for style in block.values()]
    theirs = {k: v for k, v in arrays.items() if k.startswith("style/")}
    assert len(ours) == len(theirs)
    order = sorted(theirs, key=_style_order) if "style/conv1.conv.modulation" in theirs else theirs
    for style, name in zip(ours, order, strict=True):
        check(style, theirs[name])


def _style_order(name):
    """Puts rosinality's names into our order: conv1, to_rgb1, then two convs and one to_rgbs."""
    part = name.removeprefix("style/").split(".")
    index = int(part[1]) if part[1].isdigit() else -1
    return {"conv1": (0, 0), "to_rgb1": (0, 2), "convs": (1 + index // 2, index % 2)}.get(
        part[0], (1 + index, 2)
    )


def test_stylegan2_images(stylegan2):
    generator, arrays, _ = stylegan2
    codes = generator.broadcast(generator.map(jnp.asarray(arrays["z"]), labels(arrays)))
    cases = {
        "img": codes,
        "img_trunc": generator.truncate(codes, 0.7),
        "img_wplus": jnp.asarray(arrays["ws_plus"]),
    }
    if "img_trunc_cutoff" in arrays:
        cases["img_trunc_cutoff"] = jnp.asarray(arrays["w_trunc_cutoff"])
    for name, batch in cases.items():
        check(nchw(synthesize(generator, batch))[: len(arrays[name])], arrays[name])


def test_stylegan2_noise(stylegan2):
    generator, arrays, _ = stylegan2
    codes = jnp.asarray(arrays["ws"])
    silent = jax.jit(lambda g, c: g.synthesize(c, noise="none"))(generator, codes)
    check(nchw(silent)[: len(arrays["img_nonoise"])], arrays["img_nonoise"])
    maps = [arrays[f"user_noise/{i}"][0] for i in range(50) if f"user_noise/{i}" in arrays]
    if maps:
        given = jax.jit(lambda g, c, m: g.synthesize(c, noise=m))(generator, codes, maps)
        check(nchw(given)[: len(arrays["img_user_noise"])], arrays["img_user_noise"])


def test_stylegan2_gradients(stylegan2):
    generator, arrays, _ = stylegan2
    weights = jnp.asarray(arrays["grad_rand"]).transpose(0, 2, 3, 1)

    def loss(codes):
        return jnp.sum(generator.synthesize(codes) * weights)

    gradient = jax.jit(jax.grad(loss))
    agreed_gradient(loss, gradient, arrays["ws_plus"], arrays["grad_ws_plus"])
    by_codes = agreed_gradient(loss, gradient, arrays["ws"], arrays["grad_ws"])

    def codes_of(z):
        return generator.broadcast(generator.map(z, labels(arrays)))

    _, pull_back = jax.vjp(codes_of, jnp.asarray(arrays["z"]))
    check(pull_back(by_codes)[0], arrays["grad_z"])


def agreed_gradient(loss, gradient, at, golden):
    """Returns our gradient, once it agrees with the golden one.

    Where an activation's input is closer to 0 than rounding, our sign and the original's are
    both right and the gradient jumps between them. Then, with the sign of that one activation
    set as the original had it, the whole gradient must agree.
    """
    at = jnp.asarray(at)
    ours = gradient(at)
    if error(ours, golden) <= TOLERANCE:
        return ours
    choices = list(_gradients_with_one_sign_set(loss, at))
    errors = [error(choice, golden) for choice in choices]
    assert min(errors, default=np.inf) <= TOLERANCE, f"{error(ours, golden)}, or {errors}"
    return choices[int(np.argmin(errors))]


def _gradients_with_one_sign_set(loss, at):
    """Yields the gradient with each undecided activation's sign set to + and to -."""

    @jax.jit
    def gradient(codes, call, place, sign):
        def positive(now, x):
            forced = (x > 0).reshape(-1).at[place].set(sign).reshape(x.shape)
            return jnp.where(now == call, forced, x > 0)

        with _Watched(positive):
            return jax.grad(loss)(codes)

    undecided = _undecided(loss, at)
    assert len(undecided) <= 3, "an activation may be undecided by chance, not many"
    for call, place in undecided:
        for sign in (True, False):
            yield gradient(at, call, place, sign)


def _undecided(loss, at):
    """Returns call and place of each activation whose input is 0 to within rounding."""

    def inputs(codes):
        seen = []
        with _Watched(lambda call, x: seen.append(x) or x > 0):
            loss(codes)
        return seen

    sizes = [np.abs(np.asarray(x)).reshape(-1) for x in jax.jit(inputs)(at)]
    return [
        (call, int(place))
        for call, size in enumerate(sizes)
        for place in np.flatnonzero(size < UNDECIDED * size.max())
    ]


class _Watched:
    """Replaces the leaky ReLU by one that asks `positive(call number, input)` for the signs."""

    def __init__(self, positive):
        self.positive = positive

    def __enter__(self):
        self.original = layers.ACTIVATIONS["lrelu"]
        calls = iter(range(10_000))

        def activate(x):
            return jnp.where(self.positive(next(calls), jax.lax.stop_gradient(x)), x, 0.2 * x)

        layers.ACTIVATIONS["lrelu"] = (activate, self.original[1])

    def __exit__(self, *_):
        layers.ACTIVATIONS["lrelu"] = self.original


def test_dcgan_images_and_gradients(dcgan):
    generator, arrays, meta = dcgan
    codes = jnp.asarray(arrays["z"])[:, :, 0, 0][:, None]
    check(nchw(synthesize(generator, codes)), arrays["image"])
    seed, shape = meta["grad"]["R"].split("RandomState(")[1].split(").standard_normal(")
    shape = [int(n) for n in shape.split("]")[0].strip("[").split(",")]
    weights = np.random.RandomState(int(seed)).standard_normal(shape).astype(np.float32)

    def loss(codes):
        return jnp.sum(generator.synthesize(codes) * weights.transpose(0, 2, 3, 1))

    gradient = jax.jit(jax.grad(loss))(codes)
    check(np.asarray(gradient)[:, 0], arrays["grad_z"][:, :, 0, 0])
