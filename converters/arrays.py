"""Finding a network among what a file holds, and counting and measuring its arrays."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from converters.errors import ConversionError
from jaxlatent.errors import listed

Arrays = Mapping[str, np.ndarray]
MAX_BLOCKS = 10  # of a synthesis network: 4 to 2048 pixels; published ones end at 1024
MAX_LAYERS = 64  # of a stack or a mapping network; published ones have 8
_MAX_ARRAYS = 100_000
_MAX_MODULES = 10_000
_MAX_PREFIX = 1000
_MAX_NESTED = 16
_MAX_NAME = 200
_WRAPPERS = ("module.", "model.", "state_dict.", "net.", "_orig_mod.")
_PARTS = ("generator", "netG", "G", "g", "gen", "decoder")  # of several networks in one dict
_AVERAGE = re.compile("(^|[^a-z])ema([^a-z]|$)|shadow|smooth|averag", re.IGNORECASE)
_COUNTERS = ("epoch", "iter", "iteration", "step", "global_step")  # what trainers store beside


def bounded(count: int, most: int, what: str) -> int:
    """Returns `count`, or refuses a file that asks for more than any known network has."""
    if count > most:
        raise ConversionError(f"{count} {what}; at most {most} are read")
    return count


def counted(arrays: Arrays, name: Callable[[int], str], first: int = 0) -> int:
    """Returns how many of the arrays name(first), name(first + 1), ... there are in a row.

    Example:
        >>> arrays = {"layer0": np.ones(1), "layer1": np.ones(1), "layer3": np.ones(1)}
        >>> counted(arrays, "layer{}".format)
        2
    """
    return next(n for n in count() if name(first + n) not in arrays)


def number_of(arrays: Arrays, name: Callable[[int], str], most: int, what: str) -> int:
    """Returns how many of the arrays name(0), name(1), ... there are; name(0) is not looked for.

    Args:
        arrays: all of a file.
        name: of each number.
        most: how many there may be.
        what: what they are, for the error.

    Example:
        >>> arrays = {"layer0": np.ones(1), "layer1": np.ones(1), "layer3": np.ones(1)}
        >>> number_of(arrays, lambda i: f"layer{i}", 64, "layers")
        2
    """
    return bounded(1 + counted(arrays, name, 1), most, what)


def required(arrays: Arrays, name: str) -> np.ndarray:
    """Returns an array that no file of the format lacks."""
    if name not in arrays:
        raise ConversionError(f"the file does not fit the network: missing: {name}")
    return arrays[name]


def extent(arrays: Arrays, name: str, axis: int) -> int:
    """Returns the length of an axis of a required array."""
    shape = required(arrays, name).shape
    if axis >= len(shape):
        raise ConversionError(f"the file does not fit the network: {name} is {list(shape)}")
    return shape[axis]


def is_state_dict(value: Any) -> bool:
    """Tells whether `value` maps names to arrays, and has at least one."""
    return (
        isinstance(value, dict)
        and 0 < len(value) < _MAX_ARRAYS
        and all(isinstance(k, str) for k in value)
        and all(isinstance(v, np.ndarray) for v in value.values())
    )


def state_dicts(tree: Any, names: Sequence[str]) -> list[Arrays]:
    """Returns the state dicts in a file, those under `names` first.

    Prefixes that wrappers give to all names ("module.", "model.") are stripped; a state dict of
    several networks ("generator.*" beside others) gives that of the generator too.

    Args:
        tree: what the file held: a state dict, or dicts that hold some.
        names: where to look first, in order.
    """
    if is_state_dict(tree):
        return _unwrapped(tree)
    if not isinstance(tree, dict) or len(tree) > _MAX_ARRAYS:
        return []
    ordered = [tree[key] for key in _best_first(tree, names)]
    found = [arrays for value in ordered if is_state_dict(value) for arrays in _unwrapped(value)]
    inner = [value for value in ordered if isinstance(value, dict) and not is_state_dict(value)]
    for value in inner[:_MAX_NESTED]:  # e.g. {"models": {"generator_smooth": ...}}
        nested = [value[k] for k in _best_first(value, names) if k in names or _is_average(k)]
        found += [arrays for v in nested if is_state_dict(v) for arrays in _unwrapped(v)]
    return found


def _is_average(key: Any) -> bool:
    """Tells whether a name is of a moving average, which gives better images: G_ema, gen_shadow."""
    return isinstance(key, str) and len(key) < _MAX_NAME and _AVERAGE.search(key) is not None


def _best_first(tree: dict[Any, Any], names: Sequence[str]) -> list[Any]:
    """Returns the keys, averages before all others, then those that are looked for, in order."""
    places = {name: place for place, name in enumerate(names)}
    return sorted(
        tree,
        key=lambda k: (
            not _is_average(k),
            places.get(k, len(places)) if isinstance(k, str) else len(places),
        ),
    )


def _unwrapped(arrays: Arrays) -> list[Arrays]:
    """Returns the arrays without the prefix of wrappers, then those of a generator among them."""
    arrays = _stripped({k: a for k, a in arrays.items() if k not in _COUNTERS or a.size != 1})
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        head, dot, rest = name.partition(".")
        if dot and (head in _PARTS or _is_average(head)):
            parts.setdefault(head, {})[rest] = array
    return [arrays, *(_stripped(parts[head]) for head in _best_first(parts, _PARTS))]


def _stripped(arrays: Arrays) -> Arrays:
    """Returns the arrays without the prefixes that wrappers give to all names."""
    for _ in range(_MAX_NESTED):
        prefix = next((p for p in _WRAPPERS if all(name.startswith(p) for name in arrays)), None)
        if prefix is None or not arrays:
            break
        arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    return arrays


def find_arrays(tree: Any, names: Sequence[str], marks: Sequence[str]) -> Arrays:
    """Returns the state dict that has all `marks`, the names that tell a format from others.

    Args:
        tree: what the file held.
        names: where to look first, in order.
        marks: names of arrays that every file of the format has.

    Raises:
        ConversionError: if there is none, saying which names the likeliest one lacks and has.
    """
    found = state_dicts(tree, names)
    best = max(found, key=lambda arrays: sum(mark in arrays for mark in marks), default=None)
    names_there = pickled_names(tree) if best is None else list(best)
    missing = [mark for mark in marks if mark not in names_there]
    if best is not None and not missing:
        return best
    others = [name[:_MAX_NAME] for name in names_there if name not in marks]
    kind = "" if best is not None else "is no dict of named arrays; it "
    raise ConversionError(
        f"the names do not fit this format: missing {listed(missing, 3) or 'a dict of arrays'}; "
        f"the file {kind}has {listed(others, 3) if names_there else summary(tree)}"
    )


def averaging(tree: Any, averaged: str, trained: str) -> list[str]:
    """Returns a notice if a file lacks the generator's moving average and has the one trained.

    Args:
        tree: what the file held.
        averaged: under which the moving average is stored.
        trained: under which the generator itself is.

    Example:
        >>> averaging({"g_ema": {}, "g": {}}, "g_ema", "g"), len(averaging({"g": {}}, "g_ema", "g"))
        ([], 1)
    """
    nodes = [tree, *tree.values()] if isinstance(tree, dict) else []
    found = [item for node in nodes if isinstance(node, dict) for item in node.items()]
    kept = [name for name, value in found if value is not None]
    if trained not in kept or averaged in kept:
        return []
    return [
        f"the file has no {averaged}; {trained} is read, whose weights are not averaged over the "
        "training and give worse images"
    ]


def fits(read: Callable[[], Any]) -> bool:
    """Tells whether `read` finds what it looks for, instead of raising `ConversionError`."""
    try:
        read()
    except ConversionError:
        return False
    return True


def module_arrays(module: Any) -> Arrays:
    """Returns the parameters and buffers of a pickled torch module by dotted name.

    Raises:
        ConversionError: if the modules are malformed or nest without end.
    """
    found: dict[str, np.ndarray] = {}
    pending = [("", module)]
    for _ in range(_MAX_MODULES):
        if not pending:
            return found
        prefix, node = pending.pop()
        for group in ("_parameters", "_buffers"):
            for name, value in _named(node, group, prefix):
                if isinstance(value, np.ndarray):
                    found[f"{prefix}{name}"] = value
        for name, child in _named(node, "_modules", prefix):
            if isinstance(child, dict):
                pending.append((f"{prefix}{name}.", child))
        if len(prefix) > _MAX_PREFIX or max(len(found), len(pending)) > _MAX_ARRAYS:
            break
    raise ConversionError("the pickled modules are nested too deeply or are too many")


def _named(node: dict[Any, Any], group: str, prefix: str) -> Collection[tuple[str, Any]]:
    items = node.get(group, {})
    if not isinstance(items, dict) or not all(isinstance(name, str) for name in items):
        raise ConversionError(f"{prefix}{group} of the pickled module does not map names to values")
    return items.items()


def pickled_names(tree: Any) -> list[str]:
    """Returns the names of the arrays of a pickled torch module or TensorFlow network, if any."""
    nodes: list[Any] = [tree]
    if isinstance(tree, dict):
        nodes = [tree.get("G_ema"), tree.get("G"), tree]
    elif isinstance(tree, (list, tuple)):
        nodes = [*tree[2:3], *tree[:2]]  # (G, D, Gs)
    for node in nodes:
        if isinstance(node, dict) and isinstance(node.get("_modules"), dict):
            try:
                return list(module_arrays(node))
            except ConversionError:
                return []
        if isinstance(node, dict) and isinstance(node.get("variables"), (list, tuple)):
            parts = node.get("components")
            inner = list(parts.values()) if isinstance(parts, dict) else []
            return [
                pair[0]
                for part in (node, *inner)
                if isinstance(part, dict) and isinstance(part.get("variables"), (list, tuple))
                for pair in part["variables"]
                if isinstance(pair, (list, tuple)) and pair and isinstance(pair[0], str)
            ]
    return []


def contents(tree: Any) -> str:
    """Returns a few names of the arrays of a pickled network; for all else, its summary."""
    names = [name[:_MAX_NAME] for name in pickled_names(tree)]
    return listed(names, limit=3) if names else summary(tree)


def summary(tree: Any) -> str:
    """Returns what a file holds, in a few words: names with shapes, or types."""
    if not isinstance(tree, dict) or not tree:
        return f"a {type(tree).__name__}"
    return listed([f"{_key(k)} {_kind(v)}" for k, v in tree.items()], limit=5)


def _kind(value: Any) -> str:
    return str(list(value.shape)) if isinstance(value, np.ndarray) else f"({type(value).__name__})"


def _key(key: Any) -> str:
    return key[:_MAX_NAME] if isinstance(key, str) else _kind(key)
