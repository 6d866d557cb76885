"""StyleGAN3's synthesis in plain torch, by the original's reference operators (2106.12423)."""

import importlib
import math
from typing import Any

import numpy as np

from jaxlatent.generators.alias_free import Filter, Resampling
from jaxlatent.generators.stylegan2 import Dense
from jaxlatent.generators.stylegan3 import StyleGAN3, SynthesisLayer


def torch_peer(generator: StyleGAN3) -> Any:
    """Returns the same network in torch: `peer(codes)` makes images [n, c, h, w].

    Each sample has convolution weights of its own, in one convolution with a group for each
    sample. Activations are up-sampled by inserting zeros and filtering each channel by itself,
    and down-sampled by filtering and dropping pixels; a separable filter takes two passes. That
    is what the original does without its CUDA plugins. The transform is the file's.
    """
    torch: Any = importlib.import_module("torch")
    functional, config = torch.nn.functional, generator.config

    def parameter(array: Any, *axes: int) -> Any:
        values = np.array(array[...])
        turned = values.transpose(axes or range(values.ndim))
        return torch.nn.Parameter(torch.from_numpy(turned.copy()))

    class Affine(torch.nn.Module):
        """Fully connected layer with an equalised learning rate."""

        def __init__(self, layer: Dense) -> None:
            super().__init__()
            self.weight, self.bias = parameter(layer.weight, 1, 0), parameter(layer.bias)
            self.gain, self.lr = layer.lr / math.sqrt(layer.weight.shape[0]), layer.lr

        def forward(self, w: Any) -> Any:
            return torch.addmm((self.bias * self.lr)[None], w, (self.weight * self.gain).t())

    class Fourier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            source = generator.input
            self.affine, self.weight = Affine(source.affine), parameter(source.weight, 1, 0)
            self.frequencies, self.phases = parameter(source.frequencies), parameter(source.phases)
            self.transform = parameter(source.transform)

        def forward(self, w: Any) -> Any:
            t = self.affine(w)
            t = t / t[:, :2].norm(dim=1, keepdim=True)
            zero, one = torch.zeros_like(t[:, 0]), torch.ones_like(t[:, 0])
            turn = torch.stack([t[:, 0], -t[:, 1], zero, t[:, 1], t[:, 0], zero, zero, zero, one])
            shift = torch.stack([one, zero, -t[:, 2], zero, one, -t[:, 3], zero, zero, one])
            turn, shift = (m.t().reshape(-1, 3, 3) for m in (turn, shift))
            moved = turn @ shift @ self.transform[None]
            phases = self.phases[None] + (self.frequencies[None] @ moved[:, :2, 2:]).squeeze(2)
            frequencies = self.frequencies[None] @ moved[:, :2, :2]
            band = config.input_rate / 2 - config.input_bandwidth
            excess = frequencies.norm(dim=2) - config.input_bandwidth
            strengths = (1 - excess / band).clamp(0, 1)
            side = config.input_size
            place = (torch.arange(side, device=w.device) + 0.5 - side / 2) / config.input_rate
            grid = torch.stack(torch.meshgrid(place, place, indexing="xy"), dim=-1)[
                None, :, :, None
            ]
            x = (grid @ frequencies.transpose(1, 2)[:, None, None]).squeeze(3)
            x = torch.sin((x + phases[:, None, None]) * (2 * math.pi)) * strengths[:, None, None]
            x = x @ (self.weight / math.sqrt(len(self.weight))).t()
            return x.permute(0, 3, 1, 2)

    class Resampler(torch.nn.Module):
        """Inserts zeros, pads, filters each channel by itself, drops pixels."""

        def __init__(self, taps: Filter, up: int, down: int, padding: tuple[int, int]) -> None:
            super().__init__()
            rows, columns = np.array(taps.rows), np.array(taps.columns)
            kernels = [rows.T @ columns] if len(rows) > 1 else [rows.T, columns]
            gain = up ** (2 / len(kernels))
            self.kernels = torch.nn.ParameterList(
                parameter((gain * k[::-1, ::-1]).astype(np.float32)[None, None]) for k in kernels
            )
            self.up, self.down, self.padding = up, down, padding

        def forward(self, x: Any) -> Any:
            (n, c, h, w), up, (low, high) = x.shape, self.up, self.padding
            x = x.reshape(n, c, h, 1, w, 1)
            x = functional.pad(x, [0, up - 1, 0, 0, 0, up - 1]).reshape(n, c, h * up, w * up)
            x = functional.pad(x, [low, high, low, high])  # negative: crops
            for kernel in self.kernels:
                x = functional.conv2d(x, kernel.repeat(c, 1, 1, 1), groups=c)
            return x[:, :, :: self.down, :: self.down]

    class Layer(torch.nn.Module):
        def __init__(self, layer: SynthesisLayer, image: bool) -> None:
            super().__init__()
            self.affine, self.image = Affine(layer.affine), image
            self.weight, self.bias = parameter(layer.kernel, 3, 2, 0, 1), parameter(layer.bias)
            self.variance = parameter(layer.variance)
            how = layer.layer.resampling
            self.before = Resampler(how.up_filter, how.up, 1, how.padding)
            self.after = Resampler(how.down_filter, 1, how.down, (0, 0))
            self.resampled = how != Resampling()

        def forward(self, x: Any, w: Any) -> Any:
            n, _, height, width = x.shape
            outputs, inputs, side, _ = self.weight.shape
            style, weight = self.affine(w), self.weight
            if self.image:
                style = style / math.sqrt(inputs * side**2)
            else:
                weight = weight * weight.square().mean([1, 2, 3], keepdim=True).rsqrt()
                style = style * style.square().mean().rsqrt()
            weight = weight[None] * style[:, None, :, None, None]
            if not self.image:
                weight = weight * (weight.square().sum([2, 3, 4], keepdim=True) + 1e-8).rsqrt()
            weight = weight * self.variance.rsqrt()
            x = functional.conv2d(
                x.reshape(1, n * inputs, height, width),
                weight.reshape(n * outputs, inputs, side, side),
                padding=side - 1,
                groups=n,
            )
            x = x.reshape(n, outputs, *x.shape[2:]) + self.bias[None, :, None, None]
            x = self.before(x) if self.resampled else x
            if not self.image:
                x = functional.leaky_relu(x, 0.2) * math.sqrt(2)
            if config.conv_clamp is not None:
                x = x.clamp(-config.conv_clamp, config.conv_clamp)
            return self.after(x) if self.resampled else x

    class Peer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            last = len(generator.layers) - 1
            self.input = Fourier()
            self.layers = torch.nn.ModuleList(
                [Layer(layer, i == last) for i, layer in enumerate(generator.layers)]
            )

        def forward(self, codes: Any, label: Any = None) -> Any:
            first, *others = codes.unbind(1)
            x = self.input(first)
            for layer, w in zip(self.layers, others, strict=True):
                x = layer(x, w)
            return x * config.output_scale

    return Peer().eval().requires_grad_(False)
