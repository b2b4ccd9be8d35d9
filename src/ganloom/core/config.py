"""Convert frozen dataclasses to JSON and back. An unknown key or a wrong type is an error that names the field."""

import dataclasses
import math
import types
import typing
from typing import Any, Literal, TypeVar, Union

from ganloom.core.errors import BadInput, did_you_mean

T = TypeVar("T")


def to_dict(config: Any) -> dict[str, Any]:
    """Convert a dataclass to JSON-serializable values.

    Args:
        config: A dataclass instance. Nested dataclasses become dicts with their class name under "type", and tuples
            become lists.

    Returns:
        Field name -> value.
    """
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {"type": type(value).__name__, **to_dict(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def from_dict(kind: type[T], values: dict[str, Any], where: str = "config") -> T:
    """Create a dataclass from the values that ``to_dict`` returned.

    Args:
        kind: The dataclass. Its class attribute ``REMOVED``, if it has one, names former fields that had no effect: they are
            ignored, so that a config that was saved with them is still read.
        values: Field name -> value. Missing fields keep their default.
        where: Name of ``values`` in error messages.

    Returns:
        An instance of ``kind``.

    Raises:
        BadInput: If a key is unknown or a value has the wrong type.
    """
    if not isinstance(values, dict):
        raise BadInput(f"{where} must be a table of fields, got {values!r}")
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    values = {name: value for name, value in values.items() if name not in ("type", *removed_fields(kind))}
    for name in values:
        if name not in known:
            raise BadInput(f'{where} has no field "{name}"{did_you_mean(name, known)}')
    return kind(**{name: typed(hints[name], value, f"{where}.{name}") for name, value in values.items()})


def removed_fields(kind: type) -> frozenset[str]:
    """The names of former fields of a dataclass that had no effect: its class attribute ``REMOVED``."""
    return frozenset(getattr(kind, "REMOVED", ()))


def replace(config: T, changes: dict[str, Any], where: str = "config") -> T:
    """Copy a dataclass with some fields changed.

    Args:
        config: A dataclass instance.
        changes: Field name -> new value.
        where: Name of ``config`` in error messages.

    Returns:
        A new instance of the same class.

    Raises:
        BadInput: If a key is unknown or a value has the wrong type.
    """
    hints = typing.get_type_hints(type(config))
    known = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            raise BadInput(f'{where} has no field "{name}"{did_you_mean(name, known)}')
    checked = {name: typed(hints[name], value, f"{where}.{name}") for name, value in changes.items()}
    return dataclasses.replace(config, **checked)  # type: ignore[type-var]


def check_classes(config: Any) -> None:
    """Check ``n_classes`` in the ``__post_init__`` of a recipe; one class is the same as no labels and becomes 0.

    Raises:
        BadInput: If ``n_classes`` is negative.
    """
    if config.n_classes < 0:
        raise BadInput(f"--n-classes must not be negative, got {config.n_classes}")
    if config.n_classes == 1:
        object.__setattr__(config, "n_classes", 0)


def typed(hint: Any, value: Any, where: str) -> Any:
    """Check a value against its type hint; convert lists to tuples, dicts to dataclasses and ints to floats."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _of_union(args, value, where)
    if origin is Literal:
        if value not in args:
            raise BadInput(f"{where} must be one of {', '.join(map(str, args))}, got {value!r}")
        return value
    if origin is tuple:
        return _of_tuple(args, value, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if isinstance(value, dict):
            return from_dict(hint, value, where)
        raise BadInput(f"{where} must be {hint.__name__}(...), got {value!r}")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is not bool and isinstance(value, bool))):
        raise BadInput(f"{where} must be {hint.__name__}, got {value!r}")
    return value


def _of_union(args: tuple[Any, ...], value: Any, where: str) -> Any:
    """Convert a value to the first member of a union that accepts it; a dict with "type" chooses its class."""
    if value is None and type(None) in args:
        return None
    kinds = [arg for arg in args if arg is not type(None)]
    if isinstance(value, dict) and "type" in value:
        named = [arg for arg in kinds if getattr(arg, "__name__", "") == value["type"]]
        kinds = named or kinds
    error: BadInput | None = None
    for kind in kinds:
        try:
            return typed(kind, value, where)
        except BadInput as failed:
            error = failed
    raise error or BadInput(f"{where} has no valid type for {value!r}")


def _of_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list):
        raise BadInput(f"{where} must be a sequence, got {value!r}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(typed(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(args) != len(value):
        raise BadInput(f"{where} must have {len(args)} entries, got {len(value)}: {list(value)}")
    return tuple(typed(arg, item, f"{where}[{i}]") for i, (arg, item) in enumerate(zip(args, value, strict=True)))


def check_at_least_one(config: Any, *names: str) -> None:
    """Check fields of a config that count something; None is allowed.

    Raises:
        BadInput: If a field is below 1; the message names its flag.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise BadInput(f"--{name.replace('_', '-')} must be at least 1, got {value}")


SIZES = ("z_dim", "c_dim", "batch_size", "most_batch", "g_batch", "n_critic", "lazy", "smallest")
"""Config fields that must be at least 1, as must every field with "width" in its name."""


DEPTHS = ("blocks", "layers", "d_layers", "depth", "scales", "steps", "sampler_steps", "group_maps", "mixtures")
"""Config fields that count layers or passes, of which there are at most ``DEEPEST``."""
DEEPEST, LARGEST = 1_000, 2**24
"""Most layers or passes, and the largest whole number; larger ones are typing errors or damaged files."""


def check_counts(config: Any) -> None:
    """Check the numbers of a recipe's config.

    Raises:
        BadInput: If a number is NaN or infinite, a size is below 1, a duration (``..._kimg``) is negative, or a whole number is
            larger than any machine could use.
    """
    for field in dataclasses.fields(config):
        value, flag = getattr(config, field.name), "--" + field.name.replace("_", "-")
        sized = field.name in SIZES or "width" in field.name
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, bool) or not isinstance(item, int | float):
                continue
            if not math.isfinite(item):
                raise BadInput(f"{flag} must be a finite number, got {item}")
            if sized and item < 1:
                raise BadInput(f"{flag} must be at least 1, got {item}")
            most = DEEPEST if field.name in DEPTHS else LARGEST
            if isinstance(item, int) and item > most:
                raise BadInput(f"{flag} must be at most {most:,}, got {item}")
            if item < 0 and field.name.endswith("_kimg"):
                raise BadInput(f"{flag} must not be negative, got {item}")
