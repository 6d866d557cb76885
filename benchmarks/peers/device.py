"""What the peers in torch have in common: where they run, how exactly, and when they are done."""

import copy
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def torch_device(device: str) -> str:
    """Returns torch's name of the device."""
    return "cuda" if device == "gpu" else device


def allow_tf32(allowed: bool) -> None:
    """Lets torch round factors to TF32 on a GPU, or not; its own default is to do so in part."""
    torch: Any = importlib.import_module("torch")
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def fast(networks: Mapping[str, Any]) -> dict[str, Any]:
    """Returns networks with what torch has to be faster: bfloat16, channels last, compiling.

    What torch cannot compile it runs as it is.
    """
    torch: Any = importlib.import_module("torch")
    dynamo = importlib.import_module("torch._dynamo")
    dynamo.config.suppress_errors = True
    dynamo.reset()  # or else nothing is compiled after a few networks, as all share some code

    class Half(torch.nn.Module):
        def __init__(self, network: Any) -> None:
            super().__init__()
            half, last = torch.bfloat16, torch.channels_last
            self.network = copy.deepcopy(network).to(dtype=half, memory_format=last)

        def forward(self, codes: Any, *label: Any) -> Any:
            return self.network(codes.bfloat16(), *label).float()

    halves = {f"{name} bfloat16": Half(network) for name, network in networks.items()}
    programs = {
        f"{name} compiled": torch.compile(network, dynamic=False)
        for name, network in halves.items()
    }
    return {**networks, **halves, **programs}


def work(
    network: Any,
    codes: Any,
    label: Any = None,
    *,
    device: str = "cpu",
    gradient: bool = False,
    precision: str = "exact",
) -> Callable[[], Any]:
    """Returns a call that renders codes [n, L, d], to [n, h, w, c] on the device.

    Args:
        network: a peer.
        codes: of JAX.
        label: classes, if the peer reads them.
        device: "cpu" or "gpu".
        gradient: whether to return the slope of the sum of squared pixels by the codes instead.
        precision: "fast" lets a GPU round factors to TF32.
    """
    torch: Any = importlib.import_module("torch")
    place = torch_device(device)
    allow_tf32(precision == "fast")
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
