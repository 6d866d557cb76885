"""InfoGAN files of Natsu6767/InfoGAN-PyTorch: MNIST and Fashion-MNIST, SVHN and CelebA."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from converters.arrays import MAX_LAYERS, Arrays, bounded, extent, find_arrays, fits
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import Option, integer, integers
from converters.rules import Rule, transposed_conv
from jaxlatent.generators import InfoGANConfig

_MARKS = ("tconv1.weight", "bn1.weight", "tconv2.weight", "bn2.weight", "tconv4.weight")
_PARTS = ("num_z", "num_dis_c", "dis_c_dim", "num_con_c")
_PUBLISHED = {  # latent vectors of the paper: noise, categories of each code, continuous codes
    74: (62, (10,), 2),
    168: (124, (10,) * 4, 4),
    228: (128, (10,) * 10, 0),
}
_MOST = 10_000  # numbers in a latent vector


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, ("netG",), _MARKS)


def _parts(
    tree: Any, z_dim: int, options: Mapping[str, Any]
) -> tuple[tuple[int, tuple[int, ...], int], list[str]]:
    """Returns noise, categories and continuous codes, and what was guessed."""
    given = {"categorical", "continuous"} & set(options)
    if len(given) == 1:
        raise ConversionError(
            f"the option {given.pop()} alone leaves open what the other numbers are: give both "
            "categorical=... and continuous=..."
        )
    if given:
        categorical = tuple(size for size in options["categorical"] if size)
        continuous = options["continuous"]
        return (z_dim - sum(categorical) - continuous, categorical, continuous), []
    params = tree.get("params") if isinstance(tree, dict) else None
    if isinstance(params, dict) and all(name in params for name in _PARTS):
        noise, codes, size, continuous = (params[name] for name in _PARTS)
        numbers = (noise, codes, size, continuous)
        if not all(type(n) is int and 0 <= n <= _MOST for n in numbers):
            raise ConversionError(f"params: {', '.join(_PARTS)} must be numbers up to {_MOST}")
        return (noise, (size,) * codes, continuous), []
    if z_dim in _PUBLISHED:
        noise, categorical, continuous = _PUBLISHED[z_dim]
        notice = (
            f"the file does not name the parts of its latent vector; {z_dim} numbers are those of "
            f"the paper: {noise} of noise, categories {categorical}, {continuous} continuous"
        )
        return _PUBLISHED[z_dim], [notice]
    raise ConversionError(
        f"the file does not name the parts of its latent vector of {z_dim} numbers: give the "
        "options categorical=... (e.g. 10,10 for two codes of 10 categories, 0 for none) and "
        "continuous=..."
    )


def _layers(arrays: Arrays) -> dict[str, Any]:
    """Works out the stack: from one pixel a kernel spreads, then kernels of 4 double the size."""
    number = next(i for i in count(1) if f"tconv{i}.weight" not in arrays) - 1
    names = [f"tconv{i + 1}.weight" for i in range(bounded(number, MAX_LAYERS, "layers"))]
    kernels = [extent(arrays, name, 2) for name in names]
    size, strides = 1, []
    for name, kernel in zip(names, kernels, strict=True):
        if size > 1 and kernel != 4:
            raise ConversionError(
                f"{name} has a kernel of {kernel}x{kernel}; one of 4x4 that doubles the size was "
                "expected"
            )
        strides.append(2 if size > 1 else 1)
        size = 2 * size if size > 1 else kernel
    return {
        "channels": tuple(extent(arrays, name, 1) for name in names),
        "kernels": tuple(kernels),
        "strides": tuple(strides),
        "paddings": tuple(stride - 1 for stride in strides),
        "output_paddings": (0,) * len(names),
        "biases": (False,) * len(names),
        "norms": tuple(f"bn{i + 1}.weight" in arrays for i in range(len(names))),
    }


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays = _find(tree)
    z_dim = extent(arrays, "tconv1.weight", 0)
    (noise, categorical, continuous), notices = _parts(tree, z_dim, options)
    config = InfoGANConfig(
        z_dim=z_dim,
        **_layers(arrays),
        output_activation="tanh" if "tconv5.weight" in arrays else "sigmoid",
        num_noise=noise,
        categorical=categorical,
        num_continuous=continuous,
    )
    rules = []
    for i, norm in enumerate(config.norms):
        target = f"layers/{i}"
        rules.append(Rule(f"tconv{i + 1}.weight", f"{target}/kernel", transposed_conv))
        if norm:
            source, ours = f"bn{i + 1}", f"{target}/norm"
            rules += [
                Rule(f"{source}.weight", f"{ours}/scale"),
                Rule(f"{source}.bias", f"{ours}/bias"),
                Rule(f"{source}.running_mean", f"{ours}/mean"),
                Rule(f"{source}.running_var", f"{ours}/variance", nonnegative=True),
            ]
    counters = [name for name in arrays if name.endswith("num_batches_tracked")]
    return Recipe(config, rules, arrays, counters, tuple(notices))


FORMAT = Format(
    name="natsu6767-infogan",
    title="Natsu6767/InfoGAN-PyTorch",
    license="none is stated by the project",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "categorical": Option(integers, "categories of each code, e.g. 10,10; 0 for none"),
        "continuous": Option(integer, "number of continuous codes; what is left is noise"),
    },
)
