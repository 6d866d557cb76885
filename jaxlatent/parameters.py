"""Networks from a config and named arrays, and back: the only way weights get in and out."""

import dataclasses
import hashlib
import weakref
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxlatent.errors import UserError, listed
from jaxlatent.generators.biggan import BigGAN, BigGANConfig
from jaxlatent.generators.dcgan import DCGAN, DCGANConfig
from jaxlatent.generators.infogan import InfoGAN, InfoGANConfig
from jaxlatent.generators.kernels import plain
from jaxlatent.generators.pggan import PGGAN, PGGANConfig
from jaxlatent.generators.sngan import SNGAN, SNGANConfig
from jaxlatent.generators.stylegan1 import StyleGAN1, StyleGAN1Config
from jaxlatent.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from jaxlatent.generators.stylegan3 import StyleGAN3, StyleGAN3Config
from jaxlatent.model import Buffer, Model, Origin
from jaxlatent.networks.attributes import AttributeNet, AttributesConfig
from jaxlatent.networks.encoder import Encoder, EncoderConfig
from jaxlatent.networks.lpips import LPIPS, LPIPSConfig
from jaxlatent.networks.resnet import ResNet, ResNetConfig
from jaxlatent.networks.trunks import Trunk, TrunkConfig

FAMILIES: dict[str, tuple[type, Callable[..., Model]]] = {
    "biggan": (BigGANConfig, BigGAN),
    "dcgan": (DCGANConfig, DCGAN),
    "pggan": (PGGANConfig, PGGAN),
    "stylegan1": (StyleGAN1Config, StyleGAN1),
    "infogan": (InfoGANConfig, InfoGAN),
    "sngan": (SNGANConfig, SNGAN),
    "stylegan2": (StyleGAN2Config, StyleGAN2),
    "stylegan3": (StyleGAN3Config, StyleGAN3),
    "attributes": (AttributesConfig, AttributeNet),
    "encoder": (EncoderConfig, Encoder),
    "lpips": (LPIPSConfig, LPIPS),
    "resnet": (ResNetConfig, ResNet),
    "trunk": (TrunkConfig, Trunk),
}

DTYPES = ("float32", "bfloat16", "float16")


def _skeleton(config: Any) -> tuple[Any, dict[str, tuple[Any, Any]]]:
    """Returns the module's graph, and path and variable of each parameter, without values."""
    for kind, module in FAMILIES.values():
        if type(config) is kind:
            return _traced(module, config)
    raise UserError(f"no family of networks has a {type(config).__name__}")


@lru_cache(maxsize=64)
def _traced(module: Callable[..., Model], config: Any) -> tuple[Any, dict[str, tuple[Any, Any]]]:
    graph, state = nnx.split(nnx.eval_shape(lambda: module(config, rngs=nnx.Rngs(0))))
    return graph, {_name(path): (path, value) for path, value in nnx.to_flat_state(state)}


def _name(path: tuple[Any, ...]) -> str:
    return "/".join(str(part) for part in path)


def parameter_shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """Returns the path and shape of every parameter of the network that `config` describes.

    Example:
        >>> config = DCGANConfig(8, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> parameter_shapes(config)
        {'layers/0/kernel': (4, 4, 8, 3)}
    """
    return {name: variable.shape for name, (_, variable) in _skeleton(config)[1].items()}


def build(
    config: Any, arrays: Mapping[str, np.ndarray | jax.Array], origin: Origin | None = None
) -> Model:
    """Returns the network of `config` with the given parameters; none is initialised.

    Args:
        config: a family's config.
        arrays: exactly the parameters that `parameter_shapes` names.
        origin: where they came from.

    Raises:
        UserError: listing every missing, unexpected and wrong-shaped array.

    Example:
        >>> config = DCGANConfig(8, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> build(config, {"layers/0/kernel": np.zeros((4, 4, 8, 3), np.float32)}).image_shape
        (4, 4, 3)
    """
    graph, flat = _skeleton(config)
    problems = [f"{name} is missing" for name in flat if name not in arrays]
    problems += [f"{name} is unexpected" for name in arrays if name not in flat]
    problems += [
        f"{name} is {list(arrays[name].shape)} instead of {list(variable.shape)}"
        for name, (_, variable) in flat.items()
        if name in arrays and arrays[name].shape != variable.shape
    ]
    problems += [
        f"{name} is not of a floating type but {array.dtype}"
        for name, array in arrays.items()
        if not jnp.issubdtype(array.dtype, jnp.floating)
    ]
    if problems:
        raise UserError(f"the parameters do not fit the network: {listed(problems)}")
    filled = [
        (path, variable.replace(jnp.asarray(arrays[name])))
        for name, (path, variable) in flat.items()
    ]
    model = nnx.merge(graph, nnx.from_flat_state(filled))
    model.origin = origin
    return model


def parameters(model: Model) -> dict[str, jax.Array]:
    """Returns every parameter of a network by its path."""
    state = nnx.to_flat_state(nnx.split(model)[1])
    return {_name(path): jnp.asarray(plain(variable.get_value())) for path, variable in state}


def reconfigured(model: Model, **changes: Any) -> Model:
    """Returns a network of the same weights with some fields of its config changed.

    Such as the truncation of a BigGAN's statistics, or the level of detail of a PGGAN. What
    `prepare` computed is left out.

    Raises:
        UserError: if the config is impossible, or asks for other parameters.

    Example:
        >>> config = DCGANConfig(8, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> sharp = DCGAN(config, rngs=nnx.Rngs(0))
        >>> reconfigured(sharp, output_activation="sigmoid").config.output_activation
        'sigmoid'
    """
    unknown = [name for name in changes if name not in type(model.config).__dataclass_fields__]
    if unknown:
        raise UserError(f"the config has no {listed(unknown)}")
    config = dataclasses.replace(model.config, **changes)
    return build(config, parameters(model), model.origin)


def cast(model: Model, dtype: Any) -> Model:
    """Returns a network with its trained parameters in another floating type.

    Statistics, constant noise and averages stay as they are. What a network computes in is the
    type of its input, not of its parameters. What `prepare` computed is left out.

    Args:
        model: any network.
        dtype: "float32", "bfloat16" or "float16".

    Raises:
        UserError: if the type is none of these, or a parameter is too large for it.

    Example:
        >>> config = DCGANConfig(8, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> cast(DCGAN(config, rngs=nnx.Rngs(0)), "bfloat16").layers[0].kernel[...].dtype
        dtype(bfloat16)
    """
    kind = jnp.dtype(dtype)
    if kind.name not in DTYPES:
        raise UserError(f"parameters may be {', '.join(DTYPES)}, not {kind.name}")
    graph, state = nnx.split(model)
    flat, large = [], []
    for path, variable in nnx.to_flat_state(state):
        value = plain(variable.get_value())
        if not isinstance(variable, Buffer) and value.dtype != kind:
            value = value.astype(kind)
            if not np.isfinite(np.asarray(value, np.float32)).all():
                large.append(_name(path))
        flat.append((path, variable.replace(value)))
    if large:
        raise UserError(f"{kind.name} cannot hold numbers as large as those in {listed(large)}")
    changed = nnx.merge(graph, nnx.from_flat_state(flat))
    changed.origin = model.origin
    return changed


_digests: dict[int, bytes] = {}  # of arrays that are alive, by id: they cannot change


def _digest(value: jax.Array) -> bytes:
    known = _digests.get(id(value))
    if known is None:
        known = hashlib.sha256(np.ascontiguousarray(jax.device_get(value)).tobytes()).digest()
        _digests[id(value)] = known
        weakref.finalize(value, _digests.pop, id(value), None).atexit = False
    return known


def fingerprint(model: Model) -> str:
    """Returns a name for exactly these weights: the first 16 digits of a sha256.

    Directions carry it, so that those of another generator are noticed. Empty while a program is
    traced, when weights have no values.
    """
    arrays = parameters(model)
    if any(isinstance(value, jax.core.Tracer) for value in arrays.values()):
        return ""
    digest = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(_digest(value))
    return digest.hexdigest()[:16]
