"""Parity: every array of every golden beside what our networks compute.

`python -m benchmarks.parity` writes the table docs/parity.md.
"""

from collections.abc import Callable

from benchmarks.parity import biggan, dcgan, networks, sngan, stylegan
from benchmarks.parity.compare import Check, Outputs, check_all
from benchmarks.parity.goldens import Golden, folders, load

FAMILIES: dict[str, Callable[[Golden], Outputs]] = {  # by the beginning of a golden's name
    "ada_": stylegan.outputs,
    "sg3r_": stylegan.outputs,
    "sg3repo_stylegan2_": stylegan.outputs,
    "sg3t_": stylegan.outputs,
    "rosinality_": stylegan.outputs,
    "huangzh13_": stylegan.outputs,
    "tf_": stylegan.outputs,
    "genforce_": stylegan.outputs,
    "interfacegan_": stylegan.outputs,
    "biggan_": biggan.outputs,
    "dcgan_": dcgan.outputs,
    "infogan_": dcgan.outputs,
    "mimicry_": sngan.outputs,
    "resnet50_": networks.resnet,
    "vgg16_": networks.trunk,
    "lpips_": networks.lpips,
    "psp_": networks.encoder,
    "e4e_": networks.encoder,
}


def names() -> list[str]:
    """Returns the goldens that are here."""
    return sorted(folders())


def checks(name: str) -> list[Check]:
    """Compares every array of a golden.

    Raises:
        KeyError: if no family's goldens are called so.
    """
    golden = load(name)
    (outputs,) = (f for prefix, f in FAMILIES.items() if name.startswith(prefix))
    return check_all(golden, outputs(golden))
