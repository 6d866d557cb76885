"""The roofline counts what published networks compute; plot and script say what is missing."""

import gc
import itertools
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from conftest import DCGAN_CONFIG, stylegan3_config

from benchmarks import models, peak
from benchmarks.harness import environment
from benchmarks.plots import plot
from benchmarks.roofline import PEAKS, layers, limit, macs, table
from benchmarks.suites import Size, synth
from jaxlatent import UserError
from jaxlatent.generators import (
    BigGANConfig,
    DCGANConfig,
    PGGANConfig,
    SNGANConfig,
    StyleGAN2Config,
)
from jaxlatent.networks import ResNetConfig


def _channels(resolution, base):
    return tuple(min(base // (4 << i), 512) for i in range(resolution.bit_length() - 2))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (StyleGAN2Config(_channels(1024, 32768)), 74.3),
        (StyleGAN2Config(_channels(256, 16384)), 14.9),
        (StyleGAN2Config(_channels(256, 32768)), 45.1),
        (PGGANConfig(_channels(1024, 16384)), 42.7),
    ],
    ids=["stylegan2 1024", "stylegan2 256, base 16k", "stylegan2 256, base 32k", "pggan 1024"],
)
def test_products_of_an_image(config, expected):
    gc.collect()  # what other tests have left
    before = len(jax.live_arrays())
    assert macs(config) / 1e9 == pytest.approx(expected, rel=0.01)
    assert len(jax.live_arrays()) == before  # no weights


def test_products_of_the_published_biggan_deep():
    config = BigGANConfig(
        z_dim=128,
        num_classes=1000,
        channels=tuple(128 * i for i in (16, 16, 16, 16, 8, 8, 8, 8, 4, 4, 2, 2, 1)),
        upsamples=(False, True) * 6,
        attention=(8,),
        deep=True,
    )
    unused = 125 * 128 * 9 * 256**2  # the original computes 128 channels and keeps 3 as the image
    assert (macs(config) + unused) / 1e9 == pytest.approx(38.8, rel=0.01)


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_a_transposed_convolution_meets_no_inserted_zero(padding):
    config = DCGANConfig(
        6, (5, 3), (4, 4), (1, 2), (0, padding), (0, 0), (False, False), (True, False)
    )
    side = 10 - 2 * padding
    met = sum(2 * i + tap - padding in range(side) for i in range(4) for tap in range(4))
    last = layers(config)[-1]
    assert last.name == "up-conv 4x4"
    assert last.shape == f"1x4x4x5 -> 1x{side}x{side}x3"
    assert last.macs == met**2 * 5 * 3


def test_bytes_are_of_the_whole_batch_and_kernels_are_read_once():
    config = StyleGAN2Config((8, 4), w_dim=16, mapping_widths=(16,))
    for dtype, size in (("float32", 4), ("bfloat16", 2)):
        for n in (1, 3):
            found = {layer.name: layer for layer in layers(config, dtype, n)}["up-conv 3x3"]
            assert found.macs == n * 16 * 9 * 8 * 4
            assert found.bytes == size * (n * 16 * 8 + 9 * 8 * 4 + n * 9 * 9 * 4)


def test_doubled_convolutions_count_in_their_direct_form():
    doubled = layers(PGGANConfig((4, 3), z_dim=6))[2]
    assert doubled[:3] == ("conv 3x3", "1x8x8x4 -> 1x8x8x3", 8 * 8 * 9 * 4 * 3)


@pytest.mark.parametrize(
    "config",
    [DCGAN_CONFIG, stylegan3_config(), SNGANConfig(6, 3, (8, 8, 8), num_classes=3, attention=0)],
    ids=["dcgan", "stylegan3", "sagan"],
)
def test_every_family_is_traced(config):
    per_image = [macs(config), sum(layer.macs for layer in layers(config, batch=4)) / 4]
    assert per_image[0] > 0
    assert per_image[0] == pytest.approx(per_image[1], rel=0.05)  # some work serves all images


def test_the_limit_adds_up_what_bounds_each_layer():
    config = StyleGAN2Config((512, 256))
    for batch, (name, most) in itertools.product((1, 32), PEAKS.items()):
        rows = layers(config, "bfloat16", batch)
        seconds = [(2 * r.macs / most.flops["bfloat16"], r.bytes / most.bandwidth) for r in rows]
        found = limit(config, f"{name} of some maker", "bfloat16", batch)
        assert found == pytest.approx(batch / sum(max(pair) for pair in seconds))
        assert found <= batch / max(map(sum, zip(*seconds, strict=True)))
    assert limit(config, "H100", "float32", 32) < limit(config, "H100", "bfloat16", 32)


@pytest.mark.parametrize("case", [("EPYC", "bfloat16"), ("TPU v5e", "float32")], ids=str)
def test_unknown_peaks(case):
    with pytest.raises(UserError, match=r"is not known; expected H100 in bfloat16 or float32, "):
        limit(StyleGAN2Config((4,)), *case)


def test_only_generators_have_layers():
    with pytest.raises(UserError, match="generator's config; got a ResNetConfig"):
        layers(ResNetConfig(3, (1,), (4,), (4,)))
    with pytest.raises(UserError, match="got a int"):
        layers(3)


def test_the_table_has_every_layer_and_the_sum():
    config = StyleGAN2Config((512, 256))
    lines = table(config).splitlines()
    assert len(lines) == 1 + len(layers(config)) + 1 + len(PEAKS)
    shares = [float(line.split()[-3]) for line in lines[1 : -len(PEAKS)]]
    assert sum(shares[:-1]) == pytest.approx(shares[-1], abs=1)
    assert f"{macs(config) / 1e6:.2f}" in lines[-len(PEAKS) - 1]
    assert lines[-1].startswith("TPU v5e: at most ")


def _row(suite, case, ratio):
    ends = {} if ratio is None else {"ratio_min": 0.9 * ratio, "ratio_max": 1.1 * ratio}
    return {"suite": suite, "case": case, "ratio": ratio} | ends


def test_the_plot_shows_what_has_a_ratio(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [_row("synth", "faster", 2.5), _row("find", "slower", 0.4), _row("find", "none", None)]
    plot(rows, tmp_path / "ratios.svg")
    drawn = (tmp_path / "ratios.svg").read_text()  # texts are comments in it, too
    assert all(f"<!-- {text} -->" in drawn for text in ("synth", "faster", "slower", "2.5", "0.4"))
    assert "<!-- none -->" not in drawn
    plot(rows, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_to_plot(tmp_path):
    with pytest.raises(UserError, match="no row has a ratio"):
        plot([_row("find", "none", None)], tmp_path / "ratios.png")
    assert not list(tmp_path.iterdir())


_NARROW = models.stylegan2(32, 1024, 32)


@pytest.mark.usefixtures("lenient")  # as checked annotations are in the way of compiling ahead
def test_synthesis_is_compared_with_the_peak(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(peak, "gflops", lambda: 2.0)
    forward, gradient, _ = synth.cases(Size(quick=True))
    row = forward.run()
    assert row["peak_share"] == pytest.approx(macs(_NARROW) / 1e9 * row["items_per_s"])
    assert "peak_share" not in gradient.run(), "which is more than the layers' products"


def test_on_a_gpu_the_share_is_of_the_roofline(monkeypatch):
    class Device:
        platform, device_kind = "gpu", "NVIDIA H100 80GB HBM3"

    monkeypatch.setattr(jax, "devices", lambda: [Device])
    for precision, dtype in (("fast", "bfloat16"), ("exact", "float32")):
        most = limit(_NARROW, "H100", dtype, 8)
        assert synth.share(_NARROW, 8, precision, most / 2) == pytest.approx(0.5)
    monkeypatch.setattr(Device, "device_kind", "one of next year")
    assert synth.share(_NARROW, 8, "fast", 1.0) is None


def test_the_peak_is_measured_once_and_recorded():
    assert 0.1 < peak.gflops() < 1e5
    assert environment()["peak_gflops"] == peak.gflops()


@pytest.mark.skipif(os.name == "nt", reason="a script for bash")
def test_the_gpu_script_says_what_is_missing(tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    script = Path(__file__).parents[1] / "benchmarks" / "gpu.sh"
    done = subprocess.run(
        ["bash", script, tmp_path / "out.json"],
        env=os.environ | {"PYTHON": str(bare)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("missing: jax, flax, optax, ")
    assert not (tmp_path / "out.json").exists()
