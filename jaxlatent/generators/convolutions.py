"""Convolutions by kernels that may be prepared."""

from jaxtyping import Array, Float

from jaxlatent.generators.correlation import correlate
from jaxlatent.generators.kernels import Kernel, Prepared, rescaled
from jaxlatent.generators.winograd import Winograd


def conv(
    x: Float[Array, "n h w i"],
    kernel: Kernel,
    padding: tuple[int, int],
    dilation: int = 1,
    stride: int = 1,
) -> Float[Array, "n h2 w2 o"]:
    """Correlates with `kernel`.

    Args:
        x: the input, into which `dilation - 1` zeros are inserted between neighbours.
        kernel: [kh, kw, i, o].
        padding: zeros added below and above on both axes.
        dilation: the stride of the transposed convolution that this computes.
        stride: every how many pixels the kernel is applied.
    """
    both = (padding, padding)
    if not isinstance(kernel, Prepared):
        return correlate(x, kernel, both, dilation, stride)
    low, high = padding
    same = low == high and dilation == stride == 1
    if isinstance(kernel.parts, Winograd) and same and kernel.parts.gains(x):
        y = kernel.parts.convolve(x, low)
    elif kernel.half is not None:
        half = x.astype(kernel.half.dtype)
        y = correlate(half, kernel.half, both, dilation, stride).astype(x.dtype)
    else:
        y = correlate(x, kernel.kernel, both, dilation, stride)
    return rescaled(y, kernel)
