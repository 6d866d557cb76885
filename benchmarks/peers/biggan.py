"""BigGAN's synthesis in plain torch, as its PyTorch originals compute it (arXiv:1809.11096)."""

import importlib
from typing import Any

import numpy as np

from jaxlatent.generators.attention import SelfAttention
from jaxlatent.generators.biggan import BigGAN
from jaxlatent.generators.biggan_blocks import Block, ConditionalNorm, Conv, Dense, Norm


def torch_peer(generator: BigGAN) -> Any:
    """Returns the same network in torch: `peer(codes, label)` makes images [n, c, h, w].

    All configs are known. What depends on the truncation only, the statistics, is read once; the
    spectral norms are divided out already, as in the generator. A shortcut's 1x1 convolution comes
    after pixels are repeated, as in the original.
    """
    torch: Any = importlib.import_module("torch")
    functional, config = torch.nn.functional, generator.config

    def parameter(array: Any, *axes: int) -> Any:
        values = np.array(array[...])
        turned = values.transpose(axes or range(values.ndim))
        return torch.nn.Parameter(torch.from_numpy(turned.copy()))

    def convolution(layer: Conv) -> Any:
        side, _, inputs, outputs = layer.kernel.shape
        made = torch.nn.Conv2d(inputs, outputs, side, padding=side // 2)
        made.weight, made.bias = parameter(layer.kernel, 3, 2, 0, 1), parameter(layer.bias)
        return made

    def linear(layer: Dense) -> Any:
        made = torch.nn.Linear(*layer.weight.shape)
        made.weight, made.bias = parameter(layer.weight, 1, 0), parameter(layer.bias)
        return made

    def statistics(norm: Norm | ConditionalNorm) -> tuple[Any, Any]:
        tables, rows = norm.statistics, norm.statistics.rows
        read = [
            sum(np.array(table[...])[row] * np.float32(weight) for row, weight in rows)
            for table in (tables.mean, tables.variance)
        ]
        return parameter(read[0]), parameter(read[1])

    class Steered(torch.nn.Module):
        """Batch norm whose gain and bias are linear in the condition."""

        def __init__(self, norm: ConditionalNorm) -> None:
            super().__init__()
            self.mean, self.variance = statistics(norm)
            self.gain, self.bias = parameter(norm.gain, 1, 0), parameter(norm.bias, 1, 0)
            self.epsilon = norm.statistics.epsilon

        def forward(self, x: Any, condition: Any) -> Any:
            gain = 1 + functional.linear(condition, self.gain)[:, :, None, None]
            bias = functional.linear(condition, self.bias)[:, :, None, None]
            mean, variance = (v[None, :, None, None] for v in (self.mean, self.variance))
            return (x - mean) / torch.sqrt(variance + self.epsilon) * gain + bias

    class Residual(torch.nn.Module):
        def __init__(self, block: Block) -> None:
            super().__init__()
            self.norms = torch.nn.ModuleList(map(Steered, block.norms))
            self.convs = torch.nn.ModuleList(map(convolution, block.convs))
            self.shortcut = None if block.shortcut is None else convolution(block.shortcut)
            self.upsample = block.upsample

        def forward(self, x: Any, condition: Any) -> Any:
            y, repeated = x, False
            for norm, conv in zip(self.norms, self.convs, strict=True):
                y = functional.relu(norm(y, condition))
                if self.upsample and not repeated and conv.kernel_size[0] > 1:
                    y, repeated = functional.interpolate(y, scale_factor=2), True
                y = conv(y)
            if self.shortcut is None:
                x = x[:, : y.shape[1]]
            if self.upsample:
                x = functional.interpolate(x, scale_factor=2)
            return y + (x if self.shortcut is None else self.shortcut(x))

    class Attention(torch.nn.Module):
        def __init__(self, layer: SelfAttention) -> None:
            super().__init__()
            for name in ("theta", "phi", "g", "o"):
                setattr(self, name, parameter(getattr(layer, name), 3, 2, 0, 1))
            self.gamma = parameter(layer.gamma)

        def forward(self, x: Any) -> Any:
            n, _, h, w = x.shape
            theta = functional.conv2d(x, self.theta).reshape(n, -1, h * w)
            phi = functional.max_pool2d(functional.conv2d(x, self.phi), 2).flatten(2)
            values = functional.max_pool2d(functional.conv2d(x, self.g), 2).flatten(2)
            shares = torch.softmax(torch.bmm(theta.transpose(1, 2), phi), dim=-1)
            mixed = torch.bmm(values, shares.transpose(1, 2)).reshape(n, -1, h, w)
            return x + self.gamma * functional.conv2d(mixed, self.o)

    class Peer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            table = generator.embedding
            self.embedding = None if table is None else parameter(table)
            self.first = linear(generator.first)
            self.blocks = torch.nn.ModuleList(map(Residual, generator.blocks))
            self.attentions = torch.nn.ModuleList(map(Attention, generator.attentions))
            self.mean, self.variance = statistics(generator.norm)
            self.scale, self.bias = parameter(generator.norm.scale), parameter(generator.norm.bias)
            self.to_image = convolution(generator.to_image)

        def forward(self, codes: Any, label: Any) -> Any:
            weights = label
            if label.ndim == 1:
                weights = functional.one_hot(label.long(), config.num_classes).to(codes.dtype)
            classes = weights if self.embedding is None else weights @ self.embedding
            both = [torch.cat([part, classes], dim=1) for part in codes.unbind(1)]
            both += [classes] * (len(config.channels) - len(both))
            side = config.bottom_width
            x = self.first(both[0] if config.deep else codes[:, 0])
            x = x.reshape(len(x), side, side, -1).permute(0, 3, 1, 2).contiguous()
            for kind, number in config.sequence():
                if kind == "attention":
                    x = self.attentions[number](x)
                else:
                    x = self.blocks[number](x, both[number + 1])
            affine = self.mean, self.variance, self.scale, self.bias
            x = functional.batch_norm(x, *affine, eps=config.output_epsilon)
            return torch.tanh(self.to_image(functional.relu(x)))

    return Peer().eval().requires_grad_(False)
