"""The fastest that a device could render: products and bytes of every layer, without running it.

A layer takes at least as long as its products at the device's peak, and as its reads and writes at
the memory's bandwidth (Williams, Waterman and Patterson 2009, "Roofline"). That is the limit of
programs that compute every layer directly, one after the other. Element-wise work counts as
nothing, as if it were fused into the layers. Only fewer products than the direct form's, or
activations that never leave the chip between layers, could pass it.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.core import ClosedJaxpr, Jaxpr

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator
from jaxlatent.parameters import FAMILIES


class Layer(NamedTuple):
    """A convolution or a matrix product.

    Attributes:
        name: what it computes, such as "conv 3x3".
        shape: of the input and the output, the batch first.
        macs: multiplications, each with its addition, for the whole batch.
        bytes: of input and kernel, read once, and output, written once.
    """

    name: str
    shape: str
    macs: int
    bytes: int


class Peak(NamedTuple):
    """What a device can do.

    Attributes:
        flops: a second, by data type; a product with its addition is two.
        bandwidth: of the memory, in bytes a second.
    """

    flops: dict[str, float]
    bandwidth: float


PEAKS = {  # bfloat16 and bandwidth of GPUs as measured by others; the rest from data sheets
    "H100": Peak({"bfloat16": 798e12, "float32": 67e12}, 3.0e12),
    "H200": Peak({"bfloat16": 798e12, "float32": 67e12}, 4.3e12),
    "TPU v5e": Peak({"bfloat16": 197e12}, 0.82e12),
}


def layers(config: Any, dtype: str = "bfloat16", batch: int = 1) -> list[Layer]:
    """Lists the convolutions and matrix products of synthesis from codes, in order.

    Zeros around a convolution's input count as pixels; those that a transposed convolution puts
    between and around its pixels do not.

    Args:
        config: of a generator.
        dtype: of all numbers read and written, which says how many bytes they take.
        batch: images that are rendered at once; kernels are read once for all of them.

    Raises:
        UserError: if `config` is not of a generator.

    Example:
        >>> from jaxlatent.generators import StyleGAN2Config
        >>> layers(StyleGAN2Config((8,), w_dim=16, mapping_widths=(16,)))[-1]
        Layer(name='conv 1x1', shape='1x4x4x8 -> 1x4x4x3', macs=384, bytes=400)
    """
    size = jnp.dtype(dtype).itemsize
    return [
        _layer(equation, size)
        for equation in _equations(_traced(config, batch).jaxpr)
        if equation.primitive.name in _KINDS
    ]


def macs(config: Any) -> int:
    """Returns the multiplications that one image takes, each with its addition.

    Example:
        >>> from jaxlatent.generators import StyleGAN2Config
        >>> macs(StyleGAN2Config((8,), w_dim=16, mapping_widths=(16,)))
        9920
    """
    return sum(layer.macs for layer in layers(config))


def limit(config: Any, device: str, dtype: str = "bfloat16", batch: int = 1) -> float:
    """Returns the images a second of a program that is nowhere slower than the device.

    Args:
        config: of a generator.
        device: one of `PEAKS`, or a longer name in which one is, such as JAX gives to devices.
        dtype: in which the layers compute.
        batch: images that are rendered at once.

    Raises:
        UserError: if the device's peak is not known for `dtype`.

    Example:
        >>> from jaxlatent.generators import StyleGAN2Config
        >>> config = StyleGAN2Config((512,))
        >>> limit(config, "NVIDIA H200") > limit(config, "NVIDIA H100 80GB HBM3")
        True
    """
    peak = next((peak for name, peak in PEAKS.items() if name in device), None)
    if peak is None or dtype not in peak.flops:
        known = ", ".join(f"{name} in {' or '.join(p.flops)}" for name, p in PEAKS.items())
        raise UserError(f"the peak of {device!r} in {dtype} is not known; expected {known}")
    seconds = sum(
        max(2 * layer.macs / peak.flops[dtype], layer.bytes / peak.bandwidth)
        for layer in layers(config, dtype, batch)
    )
    return batch / seconds


def table(config: Any) -> str:
    """Prints the layers of one image in bfloat16, their sum, and the devices' limits at batch 64.

    Example:
        >>> from jaxlatent.generators import StyleGAN2Config
        >>> print(table(StyleGAN2Config((8,))).splitlines()[1])
        product      1x512 -> 1x8                              0.00   22.9     0.01     0.9
    """
    rows = layers(config)
    total, size = sum(row.macs for row in rows), sum(row.bytes for row in rows)
    lines = [f"{'layer':<12} {'shape':<36} {'MMAC':>9} {'%':>6} {'MB':>8} {'FLOP/B':>7}"]
    for name, shape, count, moved in [*rows, Layer("sum", "", total, size)]:
        lines.append(
            f"{name:<12} {shape:<36} {count / 1e6:>9.2f} {100 * count / total:>6.1f} "
            f"{moved / 1e6:>8.2f} {2 * count / moved:>7.1f}"
        )
    for device in PEAKS:
        found = limit(config, device, batch=64)
        lines.append(f"{device}: at most {found:.0f} images/s in bfloat16 at batch 64")
    return "\n".join(lines)


def _traced(config: Any, batch: int) -> ClosedJaxpr:
    """Traces synthesis of abstract weights; none is allocated.

    On CPUs the library computes some operators with fewer products. The limit is of their direct
    form, so the trace is made as on another backend: its name is all that the operators ask for.
    """
    found = [module for kind, module in FAMILIES.values() if type(config) is kind]
    generator = nnx.eval_shape(lambda: found[0](config, rngs=nnx.Rngs(0))) if found else None
    if not isinstance(generator, Generator):
        raise UserError(f"layers are those of a generator's config; got a {type(config).__name__}")
    shapes: list[tuple[int, ...]] = [(batch, generator.num_layers, generator.code_dim)]
    if generator.num_classes:
        shapes.append((batch, generator.num_classes))
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    with mock.patch("jax.default_backend", return_value="gpu"):
        return jax.make_jaxpr(
            lambda generator, codes, label=None: generator.synthesize(codes, label=label)
        )(generator, *inputs)


def _equations(jaxpr: Jaxpr) -> Iterator[Any]:
    """Yields all equations, those within others in their place; no generator has a loop."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            if isinstance(value, ClosedJaxpr):
                yield from _equations(value.jaxpr)
            elif isinstance(value, Jaxpr):
                yield from _equations(value)


def _layer(equation: Any, size: int) -> Layer:
    x, kernel = (variable.aval for variable in equation.invars)
    y = equation.outvars[0].aval
    name, count = _KINDS[equation.primitive.name](equation.params, x.shape, kernel.shape, y.shape)
    shape = " -> ".join("x".join(map(str, s)) for s in (x.shape, y.shape))
    return Layer(name, shape, count, size * (x.size + kernel.size + y.size))


def _conv(
    params: dict[str, Any], x: tuple[int, ...], kernel: tuple[int, ...], y: tuple[int, ...]
) -> tuple[str, int]:
    of_x, of_kernel, of_y = params["dimension_numbers"]
    out_channels, in_channels, *window = of_kernel
    count = y[of_y[0]] * kernel[out_channels] * kernel[in_channels]
    for axis, taps in enumerate(window):
        stride, low = params["window_strides"][axis], params["padding"][axis][0]
        inserted, spread = params["lhs_dilation"][axis], params["rhs_dilation"][axis]
        pixels = range(0, x[of_x[2 + axis]] * inserted, inserted)
        count *= sum(
            inserted == 1 or place * stride + tap * spread - low in pixels
            for place in range(y[of_y[2 + axis]])
            for tap in range(kernel[taps])
        )
    name = "conv" if max(params["lhs_dilation"]) == 1 else "up-conv"
    return f"{name} {'x'.join(str(kernel[taps]) for taps in window)}", count


def _product(
    params: dict[str, Any], x: tuple[int, ...], kernel: tuple[int, ...], y: tuple[int, ...]
) -> tuple[str, int]:
    (contracted, _), _ = params["dimension_numbers"]
    return "product", math.prod(y) * math.prod(x[axis] for axis in contracted)


_KINDS = {"conv_general_dilated": _conv, "dot_general": _product}
