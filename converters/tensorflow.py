"""What the pickles of NVIDIA's TensorFlow networks have in common: variables, parts, settings.

A file is a tuple (G, D, Gs); Gs, the average of G over its training, is the generator. A network
holds its own variables by name, and parts (mapping, synthesis) that are networks again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from converters.arrays import Arrays, contents, find_arrays
from converters.constructors import NETWORKS, THEANO_NETWORK
from converters.errors import ConversionError
from converters.rules import is_numeric
from jaxlatent.errors import listed

_MAX_DEPTH = 8
_MAX_NETWORKS = 100
_MAX_NAME = 1000
_MAX_TAPS = 64

_WITHOUT_EFFECT = (
    # seen in the variables' shapes
    *("num_channels", "resolution", "label_size", "latent_size", "dlatent_size", "label_fmaps"),
    *("dlatent_broadcast", "mapping_layers", "mapping_fmaps", "fmap_base", "fmap_decay"),
    *("fmap_min", "fmap_max", "fmap_const"),
    # of training, or defaults of what ours is told in a call
    *("truncation_psi", "truncation_cutoff", "truncation_psi_val", "truncation_cutoff_val"),
    *("dlatent_avg_beta", "w_avg_beta", "style_mixing_prob", "randomize_noise"),
    # of how it is computed
    *("structure", "dtype", "num_fp16_res", "fused_modconv", "mapping_func", "synthesis_func"),
    *("is_training", "is_validation", "is_template_graph", "force_clean_graph"),
    "mbstd_group_size",
)


class Network(NamedTuple):
    """A pickled network.

    Attributes:
        arrays: the variables of all its parts, under names such as "mapping/Dense0/weight".
        settings: the arguments with which it and its parts were built, if not the defaults.
    """

    arrays: Arrays
    settings: Mapping[str, Any]


def is_theano(tree: Any) -> bool:
    """Tells whether a file holds networks of PGGAN's first code, in Theano."""
    node = _generator(tree)
    return node is not None and node["class_name"] == THEANO_NETWORK and "version" not in node


def read_network(tree: Any, marks: Sequence[str]) -> Network:
    """Returns the generator in a file.

    Args:
        tree: what the file held.
        marks: names of variables that every file of the format has.

    Raises:
        ConversionError: if there is none with these variables, or it is malformed.
    """
    node = _generator(tree)
    if node is None:
        raise ConversionError(
            "the names do not fit this format: missing (G, D, Gs), a tuple of TensorFlow networks; "
            f"the file has {contents(tree)}"
        )
    if is_theano(tree):
        raise ConversionError(
            f"a network of PGGAN's Theano code ({THEANO_NETWORK}), which is not read; "
            "load it with misc.load_pkl of tkarras/progressive_growing_of_gans (TensorFlow), which "
            "translates it, save that with misc.save_pkl, and convert the new file"
        )
    arrays: dict[str, np.ndarray] = {}
    settings: dict[str, Any] = {}
    for prefix, part in _parts(node):
        for name, value in _variables(part, prefix):
            if name in arrays:
                raise ConversionError(f"the network has two variables {name}")
            arrays[name] = value
        settings |= _named(part, "static_kwargs", prefix)
    return Network(find_arrays(arrays, (), marks), settings)


def _generator(tree: Any) -> dict[Any, Any] | None:
    """Returns Gs of a tuple (G, D, Gs), or the root itself."""
    node = tree[2] if isinstance(tree, (tuple, list)) and len(tree) == 3 else tree
    if not isinstance(node, dict):
        return None
    name = node.get("class_name")
    return node if isinstance(name, str) and name in NETWORKS else None


def _parts(node: dict[Any, Any]) -> Iterator[tuple[str, dict[Any, Any]]]:
    pending = [("", node)]
    for _ in range(_MAX_NETWORKS):
        if not pending:
            return
        prefix, part = pending.pop()
        yield prefix, part
        for name, child in _named(part, "components", prefix).items():
            if isinstance(child, dict):
                pending.append((f"{prefix}{name}/", child))
        if prefix.count("/") > _MAX_DEPTH or len(prefix) > _MAX_NAME:
            break
    raise ConversionError("the parts of the pickled network are nested too deeply or are too many")


def _named(node: dict[Any, Any], group: str, prefix: str) -> dict[str, Any]:
    items = node.get(group, {})
    if not isinstance(items, dict) or not all(isinstance(name, str) for name in items):
        raise ConversionError(
            f"{prefix}{group} of the pickled network does not map names to values"
        )
    return items


def _variables(node: dict[Any, Any], prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yields names and arrays; a variable without axes was stored as a number."""
    pairs = node.get("variables", [])
    if not isinstance(pairs, (list, tuple)):
        raise ConversionError(f"{prefix}variables of the pickled network is no list")
    for pair in pairs:
        name, value = pair if isinstance(pair, (list, tuple)) and len(pair) == 2 else (None, None)
        if isinstance(value, (int, float)):
            value = np.asarray(float(value))
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise ConversionError(f"{prefix}variables of the pickled network are malformed")
        yield f"{prefix}{name}", value


def setting(
    settings: Mapping[str, Any], name: str, kind: type | tuple[type, ...], default: Any
) -> Any:
    """Returns a setting, or its default where the file does not mention it.

    Raises:
        ConversionError: if it is not of the kind expected.

    Example:
        >>> setting({"mapping_lrmul": 0.02}, "mapping_lrmul", float, 0.01)
        0.02
    """
    value = settings.get(name, default)
    if not isinstance(value, kind):
        raise ConversionError(
            f"the network's setting {name} is odd: a {type(value).__name__} was not expected"
        )
    return value


def filter_setting(settings: Mapping[str, Any], name: str, default: Sequence[int]) -> np.ndarray:
    """Returns a filter of one or two dimensions among the settings, as it is in the file.

    Raises:
        ConversionError: if it is no array of numbers.

    Example:
        >>> filter_setting({}, "blur_filter", [1, 2, 1])
        array([1., 2., 1.])
    """
    value = setting(settings, name, (list, tuple, np.ndarray), default)
    if isinstance(value, np.ndarray) and is_numeric(value.dtype):
        return value.astype(np.float64)
    rows = [row if isinstance(row, (list, tuple)) else [row] for row in value[:_MAX_TAPS]]
    numbers = [number for row in rows for number in row[:_MAX_TAPS]]
    if (
        not all(isinstance(number, (int, float)) for number in numbers)
        or len(numbers) not in (len(value), len(value) ** 2)
        or not numbers
    ):
        raise ConversionError(f"the network's setting {name} is no filter")
    array = np.array(numbers, np.float64)
    return array if len(rows) == len(numbers) else array.reshape(len(rows), len(rows))


def check_settings(
    settings: Mapping[str, Any], needed: Mapping[str, tuple[Any, ...]], known: Collection[str]
) -> tuple[str, ...]:
    """Refuses settings that our networks do not have, and returns a notice of unknown ones.

    Args:
        settings: of the file.
        needed: values that are read, for settings that may only have these.
        known: settings that the format reads.

    Raises:
        ConversionError: naming the settings with other values.

    Example:
        >>> check_settings({"new": 1, "resolution": 32}, {"normalize_latents": (True,)}, ())
        ('the file has settings that are not known and have no effect here: new',)
    """
    odd = [
        name
        for name, values in needed.items()
        if name in settings
        and not (isinstance(settings[name], (bool, int, float, str)) and settings[name] in values)
        and not (settings[name] is None and None in values)
    ]
    if odd:
        raise ConversionError(
            f"the network was built with settings that are not read: {listed(odd)}; expected "
            + "; ".join(f"{name} {' or '.join(map(repr, needed[name]))}" for name in odd)
        )
    unknown = [n[:100] for n in settings if n not in {*_WITHOUT_EFFECT, *needed, *known}]
    if not unknown:
        return ()
    return (f"the file has settings that are not known and have no effect here: {listed(unknown)}",)
