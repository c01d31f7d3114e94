"""What the TOML files beside this one say: worlds, and what is compared on them.

A file is one experiment, which `orn demo tables WORLD --experiments NAME` makes; it is called as
the file is. `worlds.toml` has the worlds. Anywhere, a table of just `full` and `short` stands for
its value of that size.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, field_validator

from orn.demo.world.dials import Dials
from orn.shared.config.files import config_from_dict, read_toml
from orn.stage2_train.ablation.plan import Arm

Films = tuple[int, int, int]
FOLDER = Path(__file__).parent
_WORLDS = "worlds"
_DIALS = TypeAdapter(Dials)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Drawn(_Part):
    films: Films
    """How many there are to train on, to validate and to test."""
    dials: dict[str, Any] = {}
    """Those of `Dials` that are turned."""

    @field_validator("dials")
    @classmethod
    def _as_dials_have_them(cls, dials: dict[str, Any]) -> dict[str, Any]:
        unknown = dials.keys() - set(Dials.__slots__)
        if unknown:
            raise ValueError(f"wanted dials, some of {', '.join(Dials.__slots__)}; found {unknown}")
        turned = _DIALS.validate_python(dials)
        return {name: getattr(turned, name) for name in dials}


class World(_Drawn):
    """A data set of the demo world, and what all trainings on it have in common."""

    steps: int
    """Of a training, after those of the object head alone."""
    object_head_steps: int = 0
    """Of the object head alone, in systems of two heads."""
    settings: tuple[str, ...]
    """Of the recipe, to replace; {names} stand for what the comparison and the user say."""
    by_default: tuple[str, ...] = ()
    """The experiments that are made if none is named."""


class AnotherWorld(_Drawn):
    """The same data set with other dials."""

    name: str
    """What tells it from others of the data set."""


class Comparison(_Part):
    """Systems trained and measured on the test part: one call of `ablate`."""

    name: str
    """What curves call it."""
    table: Literal["2", "5", "controls"] = "2"
    """Whose rows."""
    systems: tuple[str, ...] = ()
    """Which of them; all if empty."""
    choosable: bool = False
    """Whether --systems names other ones."""
    folder: str | None = None
    """Of the runs, after the world's name, if it is not `name`."""
    report: str | None = None
    """Name of the report, if it is not that of the table."""
    settings: tuple[str, ...] = ()
    """Of the recipe, to replace beside those of the world."""
    arms: tuple[Arm, ...] = ()
    """Ways to train the systems; the first is what the others are compared with. Their settings
    may name {all_steps} of both phases, {third_of_all_steps} and {two_thirds_of_all_steps}."""
    late_fusion: bool = False
    """Whether both heads that were trained apart are measured together, too."""
    primary: tuple[tuple[str, str], ...] = ()
    """Pairs of systems that it is made for, the first expected to be better."""
    train_films: int | None = None
    """How many to train on, where it is not all that are drawn."""
    times_as_long: int = 1
    """How many times as many steps both phases have as in other comparisons."""
    another_world: AnotherWorld | None = None
    first_weights: Literal["shared", "own", "none"] = "shared"
    """What systems with a ResNet start from; `own` are learned under these settings, too."""
    value: int | None = None
    """Where it is on the experiment's curve. A comparison with `values` is one for each of them;
    {value} stands for it in its other fields."""


class Curve(_Part):
    """Results of several comparisons as one."""

    name: str
    """Of what differs."""
    shared: dict[str, str]
    """Points that comparisons of any experiment give, by value."""
    over_seconds: bool = False
    """Whether it is drawn against seconds of training."""


class _Reversed(_Part):
    system: str
    """Whose runs are measured on films backwards."""
    folder: str
    """Where they are."""
    comparison: str
    """What is made if nothing with that folder was asked for."""


class Experiment(_Part):
    """What a file says."""

    worlds: tuple[str, ...]
    """Where it can be made."""
    comparisons: tuple[Comparison, ...] = ()
    curve: Curve | None = None
    """Joins the reports of comparisons with a value."""
    reversed: _Reversed | None = None


def read_worlds(size: str) -> dict[str, World]:
    """The worlds by name, at a size.

    Raises:
        ConfigError: the file is not as it should be.
    """
    path = FOLDER / f"{_WORLDS}.toml"
    read = _of_size(read_toml(path), size)
    return {name: config_from_dict(raw, World, source=str(path)) for name, raw in read.items()}


def experiments_of(dataset: str, size: str) -> dict[str, Experiment]:
    """The experiments that can be made on a data set by name, at a size.

    Raises:
        ConfigError: a file is not as it should be.
    """
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        if path.stem != _WORLDS:
            raw = _of_size(read_toml(path), size)
            raw["comparisons"] = [
                one for comparison in raw.get("comparisons", ()) for one in _each_value(comparison)
            ]
            experiment = config_from_dict(raw, Experiment, source=str(path))
            if dataset in experiment.worlds:
                found[path.stem] = experiment
    return found


def _of_size(node: Any, size: str) -> Any:
    if isinstance(node, list):
        return [_of_size(part, size) for part in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"full", "short"}:
        return _of_size(node[size], size)
    return {key: _of_size(part, size) for key, part in node.items()}


def _each_value(comparison: dict[str, Any]) -> Iterator[dict[str, Any]]:
    values = comparison.pop("values", None)
    if values is None:
        yield comparison
    for value in values or ():
        yield _with_value(comparison, str(value)) | {"value": value}


def _with_value(node: Any, value: str) -> Any:
    if isinstance(node, str):
        return node.replace("{value}", value)
    if isinstance(node, list):
        return [_with_value(part, value) for part in node]
    if isinstance(node, dict):
        return {key: _with_value(part, value) for key, part in node.items()}
    return node
