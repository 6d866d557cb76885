"""StyleGAN2's synthesis in plain torch, with kernels for each sample or with shared ones."""

import importlib
import math
from typing import Any

import numpy as np

from jaxlatent.generators import StyleGAN2


def torch_peer(generator: StyleGAN2, fused: bool) -> Any:
    """Returns a module from codes [n, L, d] to images [n, c, h, w], with constant noise.

    Args:
        generator: of the skip architecture, with leaky ReLU and filters of four taps.
        fused: whether each sample has its own modulated kernel, in one grouped convolution; else
            activations are scaled before and after a convolution that all samples share.
    """
    torch: Any = importlib.import_module("torch")
    functional = torch.nn.functional
    config = generator.config
    if (config.architecture, config.activation, config.conv_clamp) != ("skip", "lrelu", None):
        raise ValueError(f"the peer has skip images and leaky ReLUs without clamp, not {config}")

    def tensor(array: Any) -> Any:
        return torch.from_numpy(np.array(array, np.float32))

    def affine(layer: Any) -> tuple[Any, Any]:
        return tensor(layer.matrix()).T.contiguous(), tensor(layer.bias[...])

    taps = tensor(config.resample_filter)

    def blur(x: Any, taps: Any, padding: tuple[int, int], gain: float) -> Any:
        channels = x.shape[1]
        x = functional.pad(x, padding * 2)
        kernel = (gain * torch.outer(taps, taps)).flip((0, 1)).expand(channels, 1, -1, -1)
        return functional.conv2d(x, kernel, groups=channels)

    def up_image(x: Any, taps: Any) -> Any:
        n, c, h, w = x.shape
        spread = functional.pad(x.reshape(n, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1))
        return blur(spread.reshape(n, c, 2 * h, 2 * w), taps, (2, 1), 4.0)

    def convolve(x: Any, kernel: Any, style: Any, taps: Any, demodulate: bool) -> Any:
        up = taps is not None
        n, (out, inputs, side, _) = len(x), kernel.shape
        if not fused:
            y = x * style[:, :, None, None]
            if up:
                y = functional.conv_transpose2d(y, kernel.transpose(0, 1).flip((2, 3)), stride=2)
                y = blur(y, taps, (1, 1), 4.0)
            else:
                y = functional.conv2d(y, kernel, padding=side // 2)
            if demodulate:
                scaled = kernel[None] * style[:, None, :, None, None]
                y = y * (scaled.square().sum((2, 3, 4)) + 1e-8).rsqrt()[:, :, None, None]
            return y
        kernels = kernel[None] * style[:, None, :, None, None]
        if demodulate:
            norm = (kernels.square().sum((2, 3, 4)) + 1e-8).rsqrt()
            kernels = kernels * norm[:, :, None, None, None]
        x = x.reshape(1, n * inputs, *x.shape[2:])
        if up:
            kernels = kernels.transpose(1, 2).reshape(n * inputs, out, side, side).flip((2, 3))
            y = functional.conv_transpose2d(x, kernels, stride=2, groups=n)
            return blur(y.reshape(n, out, *y.shape[2:]), taps, (1, 1), 4.0)
        kernels = kernels.reshape(n * out, inputs, side, side)
        y = functional.conv2d(x, kernels, padding=side // 2, groups=n)
        return y.reshape(n, out, *y.shape[2:])

    class Styled(torch.nn.Module):
        def __init__(self, layer: Any, image: bool, up: bool) -> None:
            super().__init__()
            kernel = np.array(layer.kernel[...], np.float32).transpose(3, 2, 0, 1)
            self.kernel = torch.nn.Parameter(torch.from_numpy(kernel.copy()))
            weight, bias = affine(layer.affine)
            self.weight, self.shift = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
            self.bias = torch.nn.Parameter(tensor(layer.bias[...]))
            self.image = image
            self.register_buffer("taps", taps.clone() if up else None)
            noisy = not image and config.use_noise
            noise = layer.noise[...] * layer.noise_strength[...] if noisy else np.zeros((1, 1))
            self.noise = torch.nn.Parameter(tensor(noise))

        def forward(self, x: Any, code: Any) -> Any:
            style = functional.linear(code, self.weight, self.shift)
            if self.image:
                style = style / math.sqrt(style.shape[1])
                return convolve(x, self.kernel, style, None, False) + self.bias[:, None, None]
            y = convolve(x, self.kernel, style, self.taps, True) + self.noise
            y = functional.leaky_relu(y + self.bias[:, None, None], 0.2)
            return y * math.sqrt(2)

    class Synthesis(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            const = np.array(generator.const[...], np.float32).transpose(2, 0, 1)
            self.const = torch.nn.Parameter(torch.from_numpy(const.copy()))
            layers = [
                Styled(layer, layer is block.torgb, layer is block.conv0)
                for block in generator.blocks
                for layer in (block.conv0, block.conv1, block.torgb)
                if layer is not None
            ]
            self.layers = torch.nn.ModuleList(layers)
            self.register_buffer("taps", taps)

        def forward(self, codes: Any) -> Any:
            x = self.const[None].expand(len(codes), -1, -1, -1)
            image, row = None, 0
            for layer in self.layers:
                y = layer(x, codes[:, row])
                if layer.image:  # reads the code of the next convolution
                    image = y if image is None else up_image(image, self.taps) + y
                else:
                    x, row = y, row + 1
            return image

    return Synthesis().eval().requires_grad_(False)
