"""Options of commands, each said once: by the pydantic field that takes its value.

A request is what the function behind a command takes, from Python and from the command line. Its
fields carry their bounds, as pydantic has them, and an `Option` or `Argument`:

    class CountRequest(Request):
        dataset: DatasetName
        data_root: DataRoot = Path("data")
        limit: Annotated[Count | None, Option("Only the first N videos.", metavar="N")] = None

    @command("count")
    def count(request: CountRequest, *, as_json: AsJson = False) -> int: ...

The parameters of a command are requests, whose options it then has, and single values. Requests may
hold requests. Fields that several commands share are those of `orn.shared.common_options`. Neither
module imports what takes long, so that help is quick.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic import create_model as make_model
from pydantic.fields import FieldInfo

from orn.shared.config.fields import explain, refusal
from orn.shared.errors import ConfigError


class Request(BaseModel):
    """What is asked of a function: frozen, checked when it is made, keyword only.

    Raises:
        ConfigError: naming each field whose value cannot be used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as err:
            raise ConfigError(explain(err, type(self))) from err

    def changed(self, **fields: Any) -> Self:
        """Return this request with other values in some fields."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**given | fields)


@dataclass(frozen=True, slots=True)
class Option:
    """Says that a field is an option of commands."""

    help: str
    """What it does."""
    name: str = ""
    """Such as `--data`; by default that of the field."""
    metavar: str | None = None
    """What stands for the value in the help; by default told from the type."""
    usual: str | None = None
    """What None stands for; other defaults are told without it."""
    variable: str | None = None
    """The environment variable that stands in for the option."""


@dataclass(frozen=True, slots=True)
class Argument:
    """Says that a field is an argument of commands."""

    metavar: str


class OptionOverrides:
    """Says some options of a request differently where another one holds it, by field."""

    def __init__(self, **options: Option) -> None:
        self.options = options


def _parts(value: Any) -> Any:
    return tuple(value.split(",")) if isinstance(value, str) else value


AT_COMMAS = BeforeValidator(_parts)
"""Marks a field whose values are separated by commas in one text."""


def command(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function: its parameters are requests, and values with an `Option` or an
    `Argument`; its docstring is the help, what it returns the exit code."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        hints = get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {
            each.name: (hints[each.name], ... if each.default is each.empty else each.default)
            for each in inspect.signature(function).parameters.values()
        }
        model = make_model("Command", __base__=Request, **fields)

        def call(**typed: Any) -> Any:
            given = {key: value for key, value in typed.items() if value not in _NOT_TYPED}
            made = _made(model, given)
            return function(**{key: getattr(made, key) for key in fields})

        parameters = [each.parameter() for each in _fields(model)]
        return click.Command(name, callback=call, params=parameters, help=function.__doc__)

    return decorate


def option_names(model: type[Request]) -> dict[str, str]:
    """Return what the options of a request are called, by field."""
    return {each.name: each.shown_name for each in _fields(model)}


_NOT_TYPED = (None, (), False)
"""What click gives for an option that was not typed; all that was typed is text, or True."""
_R = TypeVar("_R", bound=Request)


def _made(model: type[_R], given: Mapping[str, Any], default: Request | None = None) -> _R:
    """The request of what was typed.

    Args:
        default: has the values of the rest; without it the model has them.
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
    """The first thing that is wrong, with the name of the option."""
    details = err.errors(include_url=False)[0]
    if not details["loc"]:
        return click.UsageError(refusal(details))
    field = next(each for each in _fields(model) if each.name == details["loc"][0])
    return click.BadParameter(refusal(details), param_hint=repr(field.shown_name))


class _Text(click.ParamType):
    """What was typed, which pydantic reads; shown as `name`."""

    def __init__(self, name: str) -> None:
        self.name = name


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a request as click has it."""

    name: str
    kind: Any
    """Type of one value."""
    is_many: bool
    told: Option | Argument
    limits: str
    """Such as `1<=x<=8`; empty where there are none."""
    default: Any
    """`...` where there is none."""

    @property
    def shown_name(self) -> str:
        """As the user types it."""
        if isinstance(self.told, Argument):
            return self.told.metavar
        return self.told.name or f"--{self.name.replace('_', '-')}"

    def parameter(self) -> click.Parameter:
        """The parameter of a command."""
        told, is_required = self.told, self.default is ...
        if isinstance(told, Argument):
            shown = f"{told.metavar}..." if self.is_many else told.metavar
            return click.Argument(
                [self.name],
                type=_Text("text"),
                metavar=shown if is_required else f"[{shown}]",
                required=is_required,
                nargs=-1 if self.is_many else 1,
            )
        is_flag = self.kind is bool
        usual = told.usual
        if usual is None and not (is_flag or self.default in (..., None, ())):
            usual = str(self.default)
        extra = (
            f"env var: {told.variable}" if told.variable else "",
            f"default: {usual}" if usual else "",
            self.limits,
        )
        shown = "; ".join(filter(None, extra))
        return click.Option(
            [self.shown_name, self.name],
            help=f"{told.help}  [{shown}]" if shown else told.help,
            is_flag=is_flag or None,
            type=None if is_flag else _Text("text"),
            metavar=None if is_flag else told.metavar or _shown(self.kind),
            multiple=self.is_many,
            envvar=told.variable,
            required=is_required,
        )


def _shown(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"[{'|'.join(map(str, get_args(kind)))}]"
    return {int: "INTEGER", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")


def _fields(
    model: type[Request], said: Mapping[str, Option] | None = None, default: Request | None = None
) -> Iterator[_Field]:
    """All fields of a request, those of the requests that it holds in their place."""
    for name, field in model.model_fields.items():
        inner = _request_in(field)
        if inner is not None:
            differently = [each for each in field.metadata if isinstance(each, OptionOverrides)]
            options = differently[0].options if differently else {}
            yield from _fields(inner, options, _default_of(field))
            continue
        kind, about = _unwrapped(field.annotation)
        about = [*field.metadata, *about]
        told = next((each for each in about if isinstance(each, Option | Argument)), None)
        if told is None:  # for Python alone
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
            told=(said or {}).get(name, told),
            limits=_limits(about),
            default=value,
        )


def _request_in(field: FieldInfo) -> type[Request] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Request) else None


def _default_of(field: FieldInfo) -> Request | None:
    default = field.get_default(call_default_factory=True)
    return default if isinstance(default, Request) else None


def _unwrapped(annotation: Any) -> tuple[Any, list[Any]]:
    """The type of a value that is there, and all that is annotated about it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *about = get_args(annotation)
        kind, more = _unwrapped(inner)
        flat = [
            each
            for one in about
            for each in (one.metadata if isinstance(one, FieldInfo) else [one])
        ]
        return kind, [*flat, *more]
    if origin in (Union, UnionType):
        return _unwrapped(next(each for each in get_args(annotation) if each is not NoneType))
    return annotation, []


_MANY = 10**6
"""Upper bounds from here on only guard against typing errors."""


def _limits(about: list[Any]) -> str:
    """Bounds as click shows them."""
    least = most = ""
    for each in about:
        match each:
            case Ge(ge):
                least = f"{ge}<="
            case Gt(gt):
                least = f"{gt}<"
            case Le(int() | float() as le) if le < _MANY:
                most = f"<={le}"
            case Lt(lt):
                most = f"<{lt}"
    return f"{least}x{most}" if least or most else ""
