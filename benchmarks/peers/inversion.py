"""Adam on z by squared pixels in plain torch, an image at a time, as projectors are written."""

import importlib
import math
from typing import Any

import numpy as np

from jaxlatent.generators import DCGAN

RATE, FALL = 0.1, 0.5  # of the cosine at the end of the schedule


def torch_peer(generator: DCGAN) -> Any:
    """Returns the same network in torch, with everything but relu and tanh left out."""
    torch: Any = importlib.import_module("torch")
    config = generator.config
    if (config.activation, config.output_activation) != ("relu", "tanh"):
        raise ValueError(f"the peer has relu and tanh, not {config}")
    modules = []
    for i, layer in enumerate(generator.layers):
        kernel = np.array(layer.kernel[...])[::-1, ::-1].transpose(2, 3, 0, 1)
        bias, norm = layer.bias, layer.norm
        geometry = layer.stride, layer.padding, layer.output_padding
        convolution = torch.nn.ConvTranspose2d(
            kernel.shape[0], kernel.shape[1], kernel.shape[2], *geometry, bias=bias is not None
        )
        convolution.weight.data = torch.from_numpy(kernel.copy())
        if bias is not None:
            convolution.bias.data = torch.from_numpy(np.array(bias[...]))
        modules.append(convolution)
        if norm is not None:
            batch_norm = torch.nn.BatchNorm2d(kernel.shape[1], eps=config.norm_epsilon)
            batch_norm.weight.data = torch.from_numpy(np.array(norm.scale[...]))
            batch_norm.bias.data = torch.from_numpy(np.array(norm.bias[...]))
            batch_norm.running_mean = torch.from_numpy(np.array(norm.mean[...]))
            batch_norm.running_var = torch.from_numpy(np.array(norm.variance[...]))
            modules.append(batch_norm)
        last = i + 1 == len(generator.layers)
        modules.append(torch.nn.Tanh() if last else torch.nn.ReLU())
    return torch.nn.Sequential(*modules).eval().requires_grad_(False)


def one_after_the_other(
    network: Any, images: np.ndarray, starts: np.ndarray, steps: int
) -> np.ndarray:
    """Runs the same algorithm in torch, an image at a time, and returns the least losses."""
    torch: Any = importlib.import_module("torch")
    losses = []
    for image, start in zip(images, starts, strict=True):
        target = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
        z = torch.tensor(start[None, :, None, None], requires_grad=True)
        optimiser = torch.optim.Adam([z], lr=RATE, betas=(0.9, 0.999))
        least = math.inf
        for step in range(steps):
            left = min(1.0, (1.0 - step / steps) / FALL)
            for group in optimiser.param_groups:
                group["lr"] = RATE * (0.5 - 0.5 * math.cos(left * math.pi))
            optimiser.zero_grad()
            loss = torch.square(network(z) - target).mean()
            least = min(least, loss.item())
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            losses.append(min(least, torch.square(network(z) - target).mean().item()))
    return np.array(losses)
