"""Config dataclasses from JSON values, checked against their annotations."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from jaxlatent.errors import UserError


def typed(hint: Any, value: Any) -> Any:
    """Returns a JSON value as the type `hint`, a list as a tuple, an object as a dataclass.

    Raises:
        TypeError: if the value is not of that type.

    Example:
        >>> typed(tuple[float, ...], [1, 2.5])
        (1.0, 2.5)
    """
    kinds = get_args(hint)
    if get_origin(hint) is tuple:
        return tuple(typed(kinds[0], item) for item in typed(list, value))
    if dataclasses.is_dataclass(hint):
        return record(hint, value)
    if kinds:  # a union with None
        return None if value is None else typed(kinds[0], value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise TypeError(f"{value!r} is not of type {hint.__name__}")
    return value


def record(kind: Any, values: Any) -> Any:
    """Returns the dataclass `kind` made of a JSON object.

    Raises:
        TypeError: if a value is not of its field's type, or fields are unknown or missing.
        KeyError: naming a field that is unknown.
    """
    hints = get_type_hints(kind)
    return kind(**{name: typed(hints[name], v) for name, v in typed(dict, values).items()})


def replaced(config: Any, changes: Mapping[str, str]) -> Any:
    """Returns a config with some fields set from text, each read as JSON or else as a string.

    Raises:
        UserError: naming every unknown field and every value that does not fit.

    Example:
        >>> from jaxlatent.generators import StyleGAN2Config
        >>> replaced(StyleGAN2Config((4,)), {"conv_clamp": "256"}).conv_clamp
        256.0
    """
    hints, found, problems = get_type_hints(type(config)), {}, []
    for name, text in changes.items():
        if name not in hints:
            problems.append(f"no setting {name!r}; there are {', '.join(hints)}")
            continue
        try:
            found[name] = typed(hints[name], _value(text, hints[name]))
        except (TypeError, KeyError, AttributeError) as error:
            problems.append(f"{name}={text[:80]}: {error}")
    if problems:
        raise UserError("; ".join(problems))
    return dataclasses.replace(config, **found)


def _value(text: str, hint: Any) -> Any:
    if text.lower() == "none" and type(None) in get_args(hint):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
