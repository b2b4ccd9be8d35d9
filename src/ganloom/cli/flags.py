"""The command-line flags of a dataclass: one for each field, with its type, default and help text."""

import dataclasses
import textwrap
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from tyro.constructors import (
    MISSING_NONPROP,
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructTypeInfo,
)

from ganloom.core.errors import BadInput, did_you_mean

FieldPath = tuple[str, ...]
"""The names of the fields that lead to a value: ("g_opt", "lr")."""
REQUIRED = dataclasses.MISSING
"""The default of a flag that must be given."""
LONGEST_DEFAULT = 71
"""Characters of a default in the help; `ganloom config RUN` and the recipe's page have the whole one."""


@dataclass(frozen=True)
class Positional:
    """Mark a field as an argument that is given by its position: ``Annotated[str, Positional("RUN")]``."""

    metavar: str


@dataclass(frozen=True)
class Spelling:
    """How the values of a field are written on the command line, where its type does not say it."""

    metavar: str
    read: Callable[[list[str]], Any]
    """From the words of the command line to a value; raises BadInput."""
    write: Callable[[Any], str]
    """From a value to text for the help."""
    count: Callable[[list[str]], int] | None = None
    """How many of the words after the flag belong to it. None: by the type."""


@dataclass(frozen=True)
class Flag:
    """A field of a dataclass as an argument of a command."""

    path: FieldPath
    type: Any
    """The field's type, without ``Annotated``."""
    spec: PrimitiveConstructorSpec[Any]
    """tyro's rule for reading the type from words."""
    default: Any
    help: str
    positional: str = ""
    """The name of a positional argument; empty for a flag."""
    spelling: Spelling | None = None

    @property
    def name(self) -> str:
        """The flag, such as --g-opt.lr, or the name of a positional argument."""
        return self.positional or "--" + ".".join(self.path).rstrip("_").replace("_", "-")  # --with is the field with_

    @property
    def is_switch(self) -> bool:
        """Whether the flag takes no value: --flip and --no-flip."""
        return self.type is bool and not self.positional

    @property
    def off(self) -> str:
        """The flag that turns a switch off."""
        return self.name.replace("--", "--no-", 1)

    @property
    def metavar(self) -> str:
        """The placeholder of the value, such as INT or {crop,pad,squash}; empty for a switch."""
        if self.is_switch or self.positional:
            return self.positional
        if self.spelling is not None:
            return self.spelling.metavar
        plain = _without_none(self.type)
        choices = _choices(plain)
        return "{" + ",".join(choices) + "}" if choices else _spec(plain, self.name).metavar

    @property
    def default_text(self) -> str:
        """The default as the help shows it, a long one by its beginning; empty where there is nothing to show."""
        if self.default is REQUIRED:
            return "required"
        if self.default == ():
            text = "" if self.spelling is None else self.spelling.write(self.default)
        elif self.is_switch:
            text = "on" if self.default else "off"
        elif self.spelling is not None:
            text = self.spelling.write(self.default)
        else:
            text = " ".join(self.spec.str_from_instance(self.default))
        return f"default: {textwrap.shorten(text, LONGEST_DEFAULT, placeholder=' ...')}" if text else ""

    def count(self, following: list[str]) -> int:
        """How many of the words that follow the flag are its values; the words end before the next flag."""
        nargs = self.spec.nargs
        if self.is_switch:
            return 0
        if self.spelling is not None and self.spelling.count is not None:
            return self.spelling.count(following)
        if nargs == "*":
            return len(following)
        if isinstance(nargs, int):
            return min(nargs, len(following))
        fitting = [n for n in sorted(nargs, reverse=True) if n <= len(following) and self._reads(following[:n])]
        return fitting[0] if fitting else min(max(nargs), len(following))

    def _reads(self, words: list[str]) -> bool:
        try:
            self.spec.instance_from_str(words)
        except ValueError:
            return False
        return True

    def value(self, words: list[str]) -> Any:
        """Read the value from the words of the command line.

        Raises:
            BadInput: The words are not a value of the field's type.
        """
        if self.spelling is not None:
            return self.spelling.read(words)
        nargs, choices = self.spec.nargs, _choices(self.type)
        counts = nargs if isinstance(nargs, tuple) else (nargs,)
        if nargs != "*" and len(words) not in counts:
            expected = " or ".join(map(str, sorted(map(int, counts))))
            got = f"{len(words)}: {' '.join(words)}" if words else "0"
            raise BadInput(f"{self.name} needs {expected} value{'s' * (expected != '1')}, got {got}")
        if choices and words[0] not in choices:
            near = did_you_mean(words[0], choices)
            raise BadInput(f'{self.name} must be one of {", ".join(choices)}, got "{words[0]}"{near}')
        try:
            return self.spec.instance_from_str(words)
        except ValueError:
            raise BadInput(
                f'{self.name} cannot be "{" ".join(words)}": give {self.metavar or "True or False"}'
            ) from None


@dataclass(frozen=True)
class Section:
    """The fields of a dataclass, which the help shows under one title."""

    title: str
    kind: type
    default: Any = None
    """An instance whose values are the defaults. None: the defaults of the class."""
    without: frozenset[str] = frozenset()
    """Fields that are no flags."""
    spellings: Mapping[str, Spelling] = field(default_factory=dict)
    """By the name of the field, also in nested dataclasses."""

    @cached_property
    def flags(self) -> tuple[Flag, ...]:
        """One flag for each field, also of nested dataclasses, in the order of the fields."""
        return tuple(self._flags(self.kind, self.default, ()))

    def _flags(self, kind: type, default: Any, path: FieldPath) -> Iterator[Flag]:
        hints, helps = typing.get_type_hints(kind, include_extras=True), _helps(kind)
        for item in dataclasses.fields(kind):
            if not item.init or (not path and item.name in self.without):
                continue
            inner = _default(item) if default is None else getattr(default, item.name)
            plain, *marks = _annotated(hints[item.name])
            here = (*path, item.name)
            if dataclasses.is_dataclass(plain):
                yield from self._flags(typing.cast(type, plain), None if inner is REQUIRED else inner, here)
                continue
            positional = next((mark.metavar for mark in marks if isinstance(mark, Positional)), "")
            spec, spelling = _spec(plain, ".".join(here)), self.spellings.get(item.name)
            yield Flag(here, plain, spec, inner, helps.get(item.name, ""), positional, spelling)

    def build(self, values: Mapping[FieldPath, Any]) -> Any:
        """An instance with the given values, and the defaults for all other fields.

        Args:
            values: By path; paths of other sections are ignored.

        Raises:
            BadInput: The dataclass refuses a value.
        """
        return _build(
            self.kind, self.default, {flag.path: values[flag.path] for flag in self.flags if flag.path in values}
        )

    def given(self, values: Mapping[FieldPath, Any]) -> dict[str, Any]:
        """The fields that the values change, also where the value equals the default; nested dataclasses as a whole."""
        built = self.build(values)
        names = dict.fromkeys(flag.path[0] for flag in self.flags if flag.path in values)
        return {name: getattr(built, name) for name in names}


def _build(kind: type, default: Any, values: Mapping[FieldPath, Any]) -> Any:
    fields: dict[str, Any] = {path[0]: value for path, value in values.items() if len(path) == 1}
    for name in dict.fromkeys(path[0] for path in values if len(path) > 1):
        item = next(item for item in dataclasses.fields(kind) if item.name == name)
        inner = _default(item) if default is None else getattr(default, name)
        fields[name] = _build(
            type(inner), inner, {path[1:]: value for path, value in values.items() if path[0] == name}
        )
    return kind(**fields) if default is None else dataclasses.replace(default, **fields)


def _default(item: "dataclasses.Field[Any]") -> Any:
    return item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default


def _annotated(hint: Any) -> tuple[Any, ...]:
    """(type, marks ...) of a type that may be ``Annotated``."""
    return typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)


def _without_none(kind: Any) -> Any:
    """``X`` of ``X | None``."""
    members = [member for member in typing.get_args(kind) if member is not type(None)]
    return members[0] if type(None) in typing.get_args(kind) and len(members) == 1 else kind


def _choices(kind: Any) -> list[str]:
    """The words that a ``Literal`` or a bool allows; empty for other types."""
    plain = _without_none(kind)
    literal = typing.get_origin(plain) is Literal
    words = [str(value) for value in typing.get_args(plain)] if literal else []
    words = ["True", "False"] if plain is bool else words
    return [*words, "None"] if words and plain is not kind else words


def _spec(kind: Any, name: str) -> PrimitiveConstructorSpec[Any]:
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kind, set()))
    if not isinstance(spec, PrimitiveConstructorSpec):
        raise BadInput(f"the setting {name} has a type that the command line cannot read ({kind}): set it in Python")
    return spec


def _helps(kind: type) -> dict[str, str]:
    """The docstring below each field of a dataclass, on one line."""
    spec = ConstructorRegistry.get_struct_spec(StructTypeInfo.make(kind, MISSING_NONPROP, in_union_context=False))
    fields = getattr(spec, "fields", ())
    texts = {item.name: item.helptext() if callable(item.helptext) else item.helptext for item in fields}
    return {name: " ".join((text or "").replace("``", "`").split()) for name, text in texts.items()}
