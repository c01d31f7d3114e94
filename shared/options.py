"""Options of commands, defined by pydantic fields.

A request holds the arguments of the function behind a command, both for Python and for the command
line. Its fields have pydantic constraints and an `Option` or `Argument`:

    class CountRequest(Request):
        dataset: DatasetName
        data_root: DataRoot = None
        limit: Annotated[Count | None, Option("Only the first N videos.", metavar="N")] = None

    @command("count")
    def count(request: CountRequest, *, as_json: AsJson = False) -> int: ...

The parameters of a command are requests, whose options the command takes, and single values.
Requests can be nested. `orn.shared.common_options` has the fields that several commands share.
Neither module has slow imports, so that `--help` is fast.
"""

import inspect
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import click
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic import create_model as make_model
from pydantic.fields import FieldInfo

from orn.shared.config.fields import explain, refusal
from orn.shared.errors import ConfigError


class Request(BaseModel):
    """Base class of requests: frozen, keyword-only, validated on creation.

    Raises:
        ConfigError: if a field is invalid.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as err:
            raise ConfigError(explain(err, type(self))) from err

    def changed(self, **fields: Any) -> Self:
        """Return a copy with different values for some fields."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**given | fields)


@dataclass(frozen=True, slots=True)
class Option:
    """Marks a field as an option of commands."""

    help: str
    """Help text."""
    name: str = ""
    """Name, such as `--data`; derived from the field by default."""
    metavar: str | None = None
    """Placeholder of the value in the help; derived from the type by default."""
    usual: str | None = None
    """Description of the default in the help, if the default is None."""


@dataclass(frozen=True, slots=True)
class Argument:
    """Marks a field as an argument of commands."""

    metavar: str


_R = TypeVar("_R", bound=Request)


class OptionOverrides:
    """Overrides for options of a nested request, by field."""

    def __init__(self, **options: Option) -> None:
        self.options = options


def _parts(value: Any) -> Any:
    return tuple(value.split(",")) if isinstance(value, str) else value


AT_COMMAS = BeforeValidator(_parts)
"""Marks a field of comma-separated values."""


class Command(click.Command):
    """A command, the function behind it, and the modules that the function imports.

    The parameters of the function are requests, and values with an `Option` or `Argument`. Its
    docstring is the help text, and its result the exit code.
    """

    def __init__(
        self, words: str, function: Callable[..., Any], imports: tuple[str, ...] = ()
    ) -> None:
        hints = get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {
            parameter.name: (
                hints[parameter.name],
                ... if parameter.default is parameter.empty else parameter.default,
            )
            for parameter in inspect.signature(function).parameters.values()
        }
        self.words, self.function, self.imports = words, function, imports
        self._model = make_model("Command", __base__=Request, **fields)
        super().__init__(
            words.split()[-1],
            callback=self._call,
            params=[field.parameter() for field in _fields(self._model)],
            help=function.__doc__,
        )

    def _call(self, **typed: Any) -> Any:
        made = _made(self._model, _given(typed))
        return self.function(**{key: getattr(made, key) for key in self._model.model_fields})

    def typed(self, **values: Any) -> str:
        """Return the command line that calls the function with these values."""
        arguments, options = list[str](), list[str]()
        given = dict(_values(self._model(**values)))
        for field in _fields(self._model):
            value = given[field.name]
            if value is not None and value != field.default:
                is_argument = isinstance(field.mark, Argument)
                (arguments if is_argument else options).extend(field.words(value))
        return shlex.join(["orn", *self.words.split(), *arguments, *options])


def command(
    words: str, *, imports: tuple[str, ...] = ()
) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that turns a function into the command `orn WORDS`; see `Command`."""
    return lambda function: Command(words, function, imports)


def _values(request: Request) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a request with their values, with nested requests flattened."""
    for name in type(request).model_fields:
        value = getattr(request, name)
        if isinstance(value, Request):
            yield from _values(value)
        else:
            yield name, value


def _given(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values from click of the options that were given: strings or True."""
    return {key: value for key, value in typed.items() if value not in (None, (), False)}


def _made(model: type[_R], given: Mapping[str, Any], default: Request | None = None) -> _R:
    """Return the request for the given values.

    Args:
        model: type of the request.
        given: values from the command line.
        default: request that provides the other values; None: the defaults of the model.
    """
    values = {
        name: getattr(default, name) for name in (default.model_fields_set if default else ())
    }
    for name, field in model.model_fields.items():
        inner = _request_in(field)
        if inner is not None:
            values[name] = _made(inner, given, _default_of(field))
        elif name in given:
            values[name] = given[name]
    try:
        return model(**values)
    except ConfigError as err:
        if isinstance(err.__cause__, ValidationError):
            raise _usage_error(err.__cause__, model) from err
        raise


def _usage_error(err: ValidationError, model: type[Request]) -> click.UsageError:
    """Return the first error, with the name of the option."""
    details = err.errors(include_url=False)[0]
    if not details["loc"]:
        return click.UsageError(refusal(details))
    field = next(option for option in _fields(model) if option.name == details["loc"][0])
    return click.BadParameter(refusal(details), param_hint=repr(field.typed_name))


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a request, to be converted to a click parameter."""

    name: str
    kind: Any
    """Type of a single value."""
    is_many: bool
    mark: Option | Argument
    default: Any
    """Default value; `...` if required."""

    @property
    def typed_name(self) -> str:
        """Name on the command line."""
        if isinstance(self.mark, Argument):
            return self.mark.metavar
        return self.mark.name or f"--{self.name.replace('_', '-')}"

    def words(self, value: Any) -> list[str]:
        """Return a value, which is not None, as words of a command line."""
        if value is True:
            return [self.typed_name]
        texts = [value]
        if isinstance(value, tuple):
            separator = "," if "," in (self.mark.metavar or ",") else "x"
            texts = list(value) if self.is_many else [separator.join(map(str, value))]
        if isinstance(self.mark, Argument):
            return [*map(str, texts)]
        return [word for text in texts for word in (self.typed_name, str(text))]

    def parameter(self) -> click.Parameter:
        """Return the click parameter."""
        mark, is_required = self.mark, self.default is ...
        if isinstance(mark, Argument):
            metavar = f"{mark.metavar}..." if self.is_many else mark.metavar
            return click.Argument(
                [self.name],
                type=click.UNPROCESSED,  # pydantic parses it
                metavar=metavar if is_required else f"[{metavar}]",
                required=is_required,
                nargs=-1 if self.is_many else 1,
            )
        is_flag = self.kind is bool
        usual = mark.usual
        if usual is None and not (is_flag or self.default in (..., None, ())):
            usual = str(self.default)
        return click.Option(
            [self.typed_name, self.name],
            help=f"{mark.help}  [default: {usual}]" if usual else mark.help,
            is_flag=is_flag or None,
            type=None if is_flag else click.UNPROCESSED,
            metavar=None if is_flag else mark.metavar or _metavar(self.kind),
            multiple=self.is_many,
            required=is_required,
        )


def _metavar(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"[{'|'.join(map(str, get_args(kind)))}]"
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")


def _fields(
    model: type[Request],
    overrides: Mapping[str, Option] | None = None,
    default: Request | None = None,
) -> Iterator[_Field]:
    """Yield all fields of a request, with nested requests flattened."""
    for name, field in model.model_fields.items():
        inner = _request_in(field)
        if inner is not None:
            marks = [entry for entry in field.metadata if isinstance(entry, OptionOverrides)]
            options = marks[0].options if marks else {}
            yield from _fields(inner, options, _default_of(field))
            continue
        kind, about = _unwrapped(field.annotation)
        about = [*field.metadata, *about]
        mark = next((entry for entry in about if isinstance(entry, Option | Argument)), None)
        if mark is None:  # not available on the command line
            continue
        is_many = get_origin(kind) is tuple and get_args(kind)[-1] is ... and AT_COMMAS not in about
        if default is not None:
            value = getattr(default, name)
        else:
            value = ... if field.is_required() else field.get_default(call_default_factory=True)
        yield _Field(
            name=name,
            kind=kind,
            is_many=is_many,
            mark=(overrides or {}).get(name, mark),
            default=value,
        )


def _request_in(field: FieldInfo) -> type[Request] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Request) else None


def _default_of(field: FieldInfo) -> Request | None:
    default = field.get_default(call_default_factory=True)
    return default if isinstance(default, Request) else None


def _unwrapped(annotation: Any) -> tuple[Any, list[Any]]:
    """Return the type of a value other than None, and its annotations."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *about = get_args(annotation)
        kind, more = _unwrapped(inner)
        flat = [
            entry
            for one in about
            for entry in (one.metadata if isinstance(one, FieldInfo) else [one])
        ]
        return kind, [*flat, *more]
    if origin in (Union, UnionType):
        return _unwrapped(next(arg for arg in get_args(annotation) if arg is not NoneType))
    return annotation, []


def call_command(config: tuple[str, str, Mapping[str, Any]], reporter: Any) -> Any:
    """Call the function of a command: module, name, values."""
    module, name, values = config
    return getattr(import_module(module), name).function(**values)


def step_of(command: Command, **values: Any) -> dict[str, Any]:
    """Return the fields of a step that calls a command."""
    function = command.function
    return {
        "function": call_command,
        "config": (function.__module__, function.__name__, values),
        "command": command.typed(**values),
        "imports": (function.__module__, *command.imports),
    }
