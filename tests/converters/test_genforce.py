"""Checkpoints of genforce, sefa and interfacegan: their options, and what no golden shows."""

import forge
import jax.numpy as jnp
import numpy as np
import pytest

from converters import ConversionError, convert
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.filters import repeat_pixels

CHANNELS = (4, 3, 2)
RANDOM = np.random.RandomState(0)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def put(state, changes):
    """Returns the state with some arrays replaced; `...` leaves one out."""
    state = state | changes
    return {name: array for name, array in state.items() if array is not ...}


def pggan(channels=CHANNELS, z=5, **changes):
    state = {"lod": np.zeros((), np.float32), "layer0.weight": normal(channels[0], z, 4, 4)}
    for i, width in enumerate(channels):
        before = channels[max(0, i - 1)]
        if i:
            state[f"layer{2 * i}.weight"] = normal(width, before, 3, 3)
        state[f"layer{2 * i + 1}.weight"] = normal(width, width, 3, 3)
        state |= {f"layer{2 * i + j}.bias": normal(width) for j in range(2)}
        state |= {f"output{i}.weight": normal(3, width, 1, 1), f"output{i}.bias": normal(3)}
    return put(state, changes)


def interfacegan_pggan(**changes):
    names = {".weight": ".conv.weight", ".bias": ".wscale.bias"}
    state = {}
    for name, array in pggan().items():
        owner, dot, leaf = name.partition(".")
        state[owner + names.get(dot + leaf, "")] = array
    return put(state, changes)


def mapping(z, w, last=None, inner="", prefix="mapping.dense"):
    """Returns two layers with the weights of a learning-rate multiplier of 0.01."""
    sizes = [(w, z), (last or w, w)]
    weights = {f"{prefix}{i}{inner}.weight": 100 * normal(*size) for i, size in enumerate(sizes)}
    return weights | {f"{prefix}{i}.bias": normal(size[0]) for i, size in enumerate(sizes)}


def stylegan1(channels=CHANNELS, z=5, w=6, last=None, **changes):
    state = mapping(z, w, last) | {"truncation.w_avg": normal(last or w)}
    state["synthesis.lod"] = np.zeros((), np.float32)
    for i in range(2 * len(channels)):
        width, before = channels[i // 2], channels[max(0, (i - 1) // 2)]
        owner, side = f"synthesis.layer{i}", 4 << i // 2
        first = {f"{owner}.const": normal(1, width, 4, 4)}
        state |= {f"{owner}.weight": normal(width, before, 3, 3)} if i else first
        state |= {
            f"{owner}.bias": normal(width),
            f"{owner}.apply_noise.weight": normal(width),
            f"{owner}.apply_noise.noise": normal(1, 1, side, side),
            f"{owner}.style.weight": normal(2 * width, w),
            f"{owner}.style.bias": normal(2 * width),
        }
        if i > 1 and i % 2 == 0:
            blur = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16
            state[f"{owner}.blur.kernel"] = np.tile(blur, (width, 1, 1, 1))
    for i, width in enumerate(channels):
        owner = f"synthesis.output{i}"
        state |= {f"{owner}.weight": normal(3, width, 1, 1), f"{owner}.bias": normal(3)}
    return put(state, changes)


def stylegan2(channels=(4, 3), z=5, w=6, images=(0, 1), **changes):
    state = mapping(z, w) | {"truncation.w_avg": normal(w)}
    state["synthesis.early_layer.const"] = normal(1, channels[0], 4, 4)
    for i in range(2 * len(channels) - 1):
        width, before = channels[(i + 1) // 2], channels[i // 2]
        owner, side = f"synthesis.layer{i}", 4 << (i + 1) // 2
        state |= {
            f"{owner}.weight": normal(width, before, 3, 3),
            f"{owner}.bias": normal(width),
            f"{owner}.noise": normal(1, 1, side, side),
            f"{owner}.noise_strength": normal(),
            f"{owner}.style.weight": normal(before, w),
            f"{owner}.style.bias": normal(before),
        }
        if i % 2:
            fir = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 16
            state[f"{owner}.filter.kernel"] = fir[None, None]
    for i in images:
        owner = f"synthesis.output{i}"
        state |= {f"{owner}.weight": normal(3, channels[i], 1, 1), f"{owner}.bias": normal(3)}
        state[f"{owner}.style.weight"] = normal(channels[i], w)
        state[f"{owner}.style.bias"] = normal(channels[i])
    return put(state, changes)


@pytest.fixture
def read(tmp_path):
    """Converts a state dict that is written as torch does."""

    def attempt(state, **options):
        path = tmp_path / "model.pth"
        path.write_bytes(forge.torch_zip(*forge.state_dict(state)))
        return convert(path, options=options)

    return attempt


def fused(x, weight):
    """Upsamples `x` [h, w, i] by the original's transposed convolution with `weight` [o, i, 3, 3].

    Its kernel is summed over four shifts; stride 2, padding 1.
    """
    wide = np.pad(weight, ((0, 0), (0, 0), (1, 1), (1, 1)))
    kernel = wide[..., 1:, 1:] + wide[..., :-1, 1:] + wide[..., 1:, :-1] + wide[..., :-1, :-1]
    h, w, _ = x.shape
    out = np.zeros((2 * h + 2, 2 * w + 2, len(weight)))
    for y in range(h):
        for z in range(w):
            spread = np.einsum("i,oihw->hwo", x[y, z], kernel)
            out[2 * y : 2 * y + 4, 2 * z : 2 * z + 4] += spread
    return out[1:-1, 1:-1]


def upsampled(x, kernel):
    return np.asarray(conv(repeat_pixels(jnp.asarray(x)[None]), kernel[...], (1, 1))[0])


def test_fused_layers_equal_the_originals_transposed_convolution(read):
    x = normal(3, 3, 4)
    state = stylegan1()
    generator = read(state, fused_scale="true").model
    expected = fused(x, state["synthesis.layer2.weight"])
    np.testing.assert_allclose(
        upsampled(x, generator.blocks[1].layers[0].kernel), expected, atol=1e-5
    )
    weights = {f"layer{2 * i}.weight": normal(*CHANNELS[i - 1 : i + 1], 3, 3) for i in (1, 2)}
    generator = read(pggan(**weights)).model  # [in, out]: fused, as the shapes tell
    expected = fused(x, weights["layer2.weight"].transpose(1, 0, 2, 3))
    np.testing.assert_allclose(upsampled(x, generator.blocks[1].conv0.kernel), expected, atol=1e-5)
    weights = {f"layer{2 * i}.weight": normal(3, 3, *CHANNELS[i - 1 : i + 1]) for i in (1, 2)}
    plain = {f"layer{2 * i}.conv.weight": ... for i in (1, 2)}
    generator = read(interfacegan_pggan(**weights, **plain)).model
    expected = fused(x, weights["layer2.weight"].transpose(3, 2, 0, 1))
    np.testing.assert_allclose(upsampled(x, generator.blocks[1].conv0.kernel), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("state", "lod"),
    [
        (pggan(lod=np.float32(0.5)), "0.5"),
        (interfacegan_pggan(lod=np.float32(0.5)), "1"),
        (stylegan1(**{"synthesis.lod": np.float32(1)}), "1"),
    ],
)
def test_networks_saved_while_they_grew_are_told(read, state, lod):
    assert any(notice.endswith(f"level of detail {lod}") for notice in read(state).notices)


def test_auto_fuses_from_128_pixels_on(read):
    state = stylegan1(channels=(1,) * 6)
    converted = read(state)
    assert any("fused_scale is not in the file; auto taken" in n for n in converted.notices)
    unfused = read(state, fused_scale="false").model
    for i in range(1, 6):
        ours, plain = (g.blocks[i].layers[0].kernel[...] for g in (converted.model, unfused))
        np.testing.assert_array_equal(ours, plain[::-1, ::-1] if i == 5 else plain)
        same = (g.blocks[i].layers[1].kernel[...] for g in (converted.model, unfused))
        np.testing.assert_array_equal(*same)


def test_shapes_tell_whether_a_pggan_is_fused_or_a_notice_says_that_it_is_a_guess(read):
    known = {"label_size": "0", "output_activation": "linear"}
    assert read(pggan(), **known).notices == ()
    labels, output = read(pggan()).notices
    assert labels.startswith("label_size is not in the file; 0 taken")
    assert output.startswith("output_activation is not in the file; linear taken")
    square = pggan(channels=(3, 3))
    assert "shapes do not tell; false taken" in read(square).notices[-1]
    plain, flipped = (read(square, fused_scale=value, **known) for value in ("false", "true"))
    assert plain.notices == flipped.notices == ()
    kernels = [c.model.blocks[1].conv0.kernel[...] for c in (plain, flipped)]
    np.testing.assert_array_equal(kernels[0][::-1, ::-1].transpose(0, 1, 3, 2), kernels[1])
    with pytest.raises(ConversionError, match=r"fused_scale=True does not fit .* layer2\.weight"):
        read(pggan(), fused_scale="true")


def normed(x):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-8)


def lrelu(x):
    return np.where(x > 0, x, 0.2 * x)


def mapped(x, state, gain, after=1.0):
    for i in range(2):
        weight, bias = state[f"mapping.dense{i}.weight"], state[f"mapping.dense{i}.bias"]
        x = lrelu(x @ weight.T * 0.01 * gain / np.sqrt(weight.shape[1]) + 0.01 * bias) * after
    return x


def test_labels_are_normalised_with_z_or_for_ada_by_themselves(read):
    z, label = normal(2, 2), np.array([[0, 1, 0], [0.5, 0, 0.5]], np.float32)
    embedding = {"mapping.label_weight": normal(3, 3)}
    together = normed(np.concatenate([z, label @ embedding["mapping.label_weight"]], axis=1))
    for make, gains in ((stylegan1, (2**0.5,)), (stylegan2, (1, 2**0.5))):
        state = make(**embedding)
        w = read(state).model.map(jnp.asarray(z), jnp.asarray(label))
        np.testing.assert_allclose(w, mapped(together, state, *gains), rtol=1e-4, atol=1e-6)
    ada = {"mapping.LabelEmbed.weight": normal(3, 3), "mapping.LabelEmbed.bias": normal(3)}
    state = stylegan2(**ada)
    embedded = label @ ada["mapping.LabelEmbed.weight"].T / 3**0.5 + ada["mapping.LabelEmbed.bias"]
    each = np.concatenate([normed(z), normed(embedded)], axis=1)
    w = read(state).model.map(jnp.asarray(z), jnp.asarray(label))
    np.testing.assert_allclose(w, mapped(each, state, 1, 2**0.5), rtol=1e-4, atol=1e-6)


def test_labels_of_a_pggan_follow_the_normalised_z(read):
    generator = read(pggan(), label_size="2").model
    assert (generator.z_dim, generator.num_classes) == (3, 2)
    z, label = normal(2, 3), np.array([1, 0])
    expected = normed(np.concatenate([normed(z), np.eye(2)[label]], axis=1))
    ours = generator.prepare(generator.broadcast(jnp.asarray(z)), label=jnp.asarray(label))
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_a_w_for_each_layer(read):
    generator = read(stylegan1(channels=(3, 2), last=24)).model
    assert generator.config.w_per_layer
    z = jnp.asarray(normal(2, 5))
    w = generator.map(z)
    codes = generator.broadcast(w)
    np.testing.assert_array_equal(codes.reshape(2, 24), w)
    mean = generator.mapping.w_avg[...].reshape(1, 4, 6)
    np.testing.assert_allclose(generator.truncate(codes, 0.0)[:1], mean)
    shared = generator.broadcast(w[:, :6])
    np.testing.assert_array_equal(shared[:, 3], w[:, :6])


def test_stylegan2_with_one_image_layer_is_orig(read):
    config = read(stylegan2(images=(1,))).model.config
    assert config.architecture == "orig"
    assert read(stylegan2()).model.config.architecture == "skip"


def test_filters_come_from_the_file_and_are_turned_round(read):
    taps = np.array([1, 2, 3, 2], np.float32) / 8
    kernel = {"synthesis.layer1.filter.kernel": 4 * np.outer(taps, taps)[None, None]}
    config = read(stylegan2(**kernel)).model.config
    assert config.resample_filter == pytest.approx((0.25, 0.375, 0.25, 0.125))
    assert config.image_filter == (0.125, 0.375, 0.375, 0.125)


def test_levels_of_detail(read):
    lod = np.array(1.5, np.float32)
    assert read(pggan(lod=lod)).model.config.lod == 1.5
    assert read(interfacegan_pggan(lod=lod)).model.config.lod == 2  # it does not blend
    assert read(pggan(lod=...)).model.config.lod == 0


def test_wrapped_files(read):
    state = {f"module.{name}": array for name, array in pggan().items()}
    assert read(state).format == "genforce-pggan"


@pytest.mark.parametrize(
    ("state", "options", "message"),
    [
        (pggan(lod=np.array(2.5, np.float32)), {}, r"lod must be in \[0, 2\], got 2.5"),
        (pggan(lod=normal(2)), {}, r"lod must be one number, got \[2\]"),
        (pggan(**{"layer3.weight": ...}), {}, r"missing: layer3\.weight"),
        (pggan(), {"label_size": "5"}, "every size of a PGGAN must be at least 1"),
        (pggan(), {"label_size": "-1"}, "label_size=-1: expected a whole number"),
        (pggan(), {"fused_scale": "auto"}, "fused_scale=auto: expected true or false"),
        (pggan(), {"output_activation": "relu"}, "expected linear or tanh"),
        (pggan(channels=(1,) * 12), {}, "12 resolutions; at most 10"),
        (interfacegan_pggan(**{"layer2.conv.weight": ...}), {}, r"missing: layer2\.conv\.weight"),
        (stylegan1(), {"fused_scale": "yes"}, "expected auto, true or false"),
        (stylegan1(), {"mapping_lr_multiplier": "0"}, "above 0"),
        (stylegan1(last=7), {}, "the mapping network must end in 36"),
        (
            stylegan1(**{"synthesis.layer4.blur.kernel": np.ones((2, 1, 3, 3), np.float32)}),
            {},
            "the blurs of the layers and channels differ",
        ),
        (
            stylegan1(**{"synthesis.layer4.blur.kernel": np.ones((0, 3), np.float32)}),
            {},
            r"no filter of a blur: synthesis\.layer4\.blur\.kernel",
        ),
        (
            stylegan1(**{"synthesis.layer0.apply_noise.noise": normal(1, 4, 1, 1)}),
            {},
            r"wrong shape: synthesis\.layer0\.apply_noise\.noise",
        ),
        (stylegan2(**{"synthesis.layer2.weight": ...}), {}, "2 layers .* must be odd"),
        (
            stylegan2(**{"mapping.dense1.weight": normal(24, 6)}),
            {},
            r"repeat_w=False\), which is read for StyleGAN but not for StyleGAN2",
        ),
        (
            stylegan2(images=(1,), **{"synthesis.layer1.style.weight": ...}),
            {},
            r"missing: synthesis\.layer1\.style\.weight",
        ),
    ],
)
def test_odd_files_are_explained(read, state, options, message):
    with pytest.raises(ConversionError, match=message):
        read(state, **options)


@pytest.mark.parametrize(
    "name", ["genforce-pggan", "genforce-stylegan1", "interfacegan-stylegan1", "genforce-stylegan2"]
)
def test_the_wrong_format_is_refused(tmp_path, name):
    path = tmp_path / "model.pth"
    path.write_bytes(forge.torch_zip(*forge.state_dict(interfacegan_pggan())))
    with pytest.raises(ConversionError, match=r"do not fit this format: missing .*the file has"):
        convert(path, format=name)
