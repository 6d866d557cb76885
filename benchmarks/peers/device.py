"""What the peers in torch have in common: where they run, and when they are done."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np


def torch_device(device: str) -> str:
    """Returns torch's name of the device."""
    return "cuda" if device == "gpu" else device


def work(
    network: Any, codes: Any, label: Any = None, *, device: str = "cpu", gradient: bool = False
) -> Callable[[], Any]:
    """Returns a call that renders codes [n, L, d], to [n, h, w, c] on the device.

    Args:
        network: a peer.
        codes: of JAX.
        label: classes, if the peer reads them.
        device: "cpu" or "gpu".
        gradient: whether to return the slope of the sum of squared pixels by the codes instead.
    """
    torch: Any = importlib.import_module("torch")
    place = torch_device(device)
    network = network.to(place)
    given = [torch.tensor(np.array(a), device=place) for a in (codes, label) if a is not None]

    def images() -> Any:
        return network(*given).permute(0, 2, 3, 1)

    def call() -> Any:
        if gradient:
            leaf = given[0].detach().requires_grad_(True)
            network(leaf, *given[1:]).square().sum().backward()
            result = leaf.grad
        else:
            with torch.no_grad():
                result = images()
        if place == "cuda":
            torch.cuda.synchronize()
        return result

    return call
