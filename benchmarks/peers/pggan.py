"""PGGAN's synthesis in plain torch, as its PyTorch originals compute it (arXiv:1710.10196)."""

import importlib
import math
from typing import Any, cast

import numpy as np

from jaxlatent.generators.pggan import PGGAN
from jaxlatent.generators.progressive import ScaledConv


def torch_peer(generator: PGGAN) -> Any:
    """Returns the grown network in torch: `peer(codes, label)` makes images [n, c, h, w].

    Each call scales the weights, as the equalised learning rate has it, repeats pixels before the
    convolutions that enlarge, and makes the colours of the last block only.

    Args:
        generator: a PGGAN; its blending of resolutions (lod) must be over.

    Raises:
        ValueError: if it is not.
    """
    torch: Any = importlib.import_module("torch")
    functional = torch.nn.functional
    config = generator.config
    if config.lod:
        raise ValueError(f"the peer has no blending of resolutions; lod must be 0, got {config}")

    class Layer(torch.nn.Module):
        def __init__(self, layer: ScaledConv, padding: int, turned: bool = False) -> None:
            super().__init__()
            kernel = np.array(layer.kernel[...]).transpose(3, 2, 0, 1)
            kernel = kernel[:, :, ::-1, ::-1] if turned else kernel
            self.weight = torch.nn.Parameter(torch.from_numpy(kernel.copy()))
            self.bias = torch.nn.Parameter(torch.from_numpy(np.array(layer.bias[...])))
            self.scale = layer.gain / math.sqrt(kernel[0].size)
            self.padding = padding

        def forward(self, x: Any) -> Any:
            weight = self.weight * self.scale
            return functional.conv2d(x, weight, self.bias, padding=self.padding)

    def norm(x: Any) -> Any:
        return x / torch.sqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)

    class Peer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            first, *others = generator.blocks
            # a 4x4 kernel that slides over one pixel is seen turned round
            layers = [Layer(first.conv0, 3, turned=True), Layer(first.conv1, 1)]
            for block in others:
                layers += [Layer(block.conv0, 1), Layer(block.conv1, 1)]
            self.layers = torch.nn.ModuleList(layers)
            self.to_image = Layer(cast(ScaledConv, generator.blocks[-1].torgb), 0)

        def forward(self, codes: Any, label: Any = None) -> Any:
            x = codes[:, 0]
            if config.normalize_z:
                x = norm(x)
            if config.c_dim:
                weights = label
                if label.ndim == 1:
                    weights = functional.one_hot(label.long(), config.c_dim).to(x.dtype)
                x = torch.cat([x, weights], dim=1)
            x = norm(x)[:, :, None, None]
            for index, layer in enumerate(self.layers):
                if index and index % 2 == 0:
                    x = functional.interpolate(x, scale_factor=2, mode="nearest")
                x = norm(functional.leaky_relu(layer(x), 0.2))
            image = self.to_image(x)
            return torch.tanh(image) if config.output_activation == "tanh" else image

    return Peer().eval().requires_grad_(False)
