"""The options of `orn demo world` that turn a world's dials, and how many films it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from demo.world.dials import DIAL_LIMITS, USED_DIALS, Dials


@dataclass(frozen=True, slots=True, kw_only=True)
class _DialOption:
    """How one dial is called on the command line."""

    flag: str
    dial: str
    """Name of the field of `Dials`."""
    type: click.ParamType
    help: str


_OPTIONS = (
    _DialOption(
        flag="--decoys",
        dial="decoy_probability",
        type=click.FloatRange(0, 1),
        help="How often a decoy pair acts, too.",
    ),
    _DialOption(
        flag="--decoy-pairs",
        dial="decoy_pairs",
        type=click.IntRange(0, int(DIAL_LIMITS["decoy_pairs"])),
        help="Pairs of decoys, each with an activity of its own.",
    ),
    _DialOption(
        flag="--distractors",
        dial="distractors",
        type=click.IntRange(0, int(DIAL_LIMITS["distractors"])),
        help="Objects of other classes that lie still.",
    ),
    _DialOption(
        flag="--look-alikes",
        dial="look_alikes",
        type=click.IntRange(0, int(DIAL_LIMITS["look_alikes"])),
        help="Objects of X's own class that lie still.",
    ),
    _DialOption(
        flag="--camera",
        dial="camera_pixels",
        type=click.FloatRange(0, DIAL_LIMITS["camera_pixels"]),
        help="Largest drift of the camera, in pixels.",
    ),
    _DialOption(
        flag="--noise",
        dial="noise",
        type=click.FloatRange(0, DIAL_LIMITS["noise"]),
        help="Standard deviation of the sensor noise, in grey levels.",
    ),
    _DialOption(
        flag="--texture",
        dial="texture",
        type=click.FloatRange(0, DIAL_LIMITS["texture"]),
        help="Strength of the table's pattern; 0 is a plain table.",
    ),
    _DialOption(
        flag="--objects",
        dial="objects",
        type=click.IntRange(1, int(DIAL_LIMITS["objects"])),
        help="Objects on the table, of different classes.",
    ),
    _DialOption(
        flag="--classes",
        dial="classes",
        type=click.IntRange(1, int(DIAL_LIMITS["classes"])),
        help="Classes that those objects are drawn from.",
    ),
    _DialOption(
        flag="--stops",
        dial="stops",
        type=click.IntRange(1, int(DIAL_LIMITS["stops"])),
        help="Stops of the hand at most, on objects or beside them.",
    ),
    _DialOption(
        flag="--pull",
        dial="pull_pixels",
        type=click.FloatRange(0, DIAL_LIMITS["pull_pixels"]),
        help="How far the hand pulls what it touches, in pixels.",
    ),
    _DialOption(
        flag="--columns",
        dial="columns",
        type=click.IntRange(0, int(DIAL_LIMITS["columns"])),
        help="Columns of a grid of places, with three rows; 0 for anywhere.",
    ),
    _DialOption(
        flag="--owners",
        dial="owners",
        type=click.IntRange(1, int(DIAL_LIMITS["owners"])),
        help="Objects in whose old place a ball may stand.",
    ),
    _DialOption(
        flag="--balls",
        dial="balls",
        type=click.IntRange(1, int(DIAL_LIMITS["balls"])),
        help="Balls, all alike.",
    ),
)


def dial_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add one option for each dial; the command gets the dial's value, None if it was not given."""
    for option in reversed(_OPTIONS):
        default = Dials.__dataclass_fields__[option.dial].default
        command = click.option(
            option.flag,
            option.dial,
            type=option.type,
            help=f"{option.help}  [default: {default}]",
        )(command)
    return command


def given_dials(dataset: str, given: Mapping[str, Any]) -> Dials:
    """The dials of a world from what was given on the command line.

    Args:
        dataset: Name of a data set, or "all".
        given: Value of each dial by its name, None where it was left out.

    Raises:
        click.BadParameter: a dial that changes nothing of this data set was given.
        ConfigError: a value is out of range for this data set.
    """
    turned = {name: value for name, value in given.items() if value is not None}
    for option in _OPTIONS:
        if dataset != "all" and option.dial in turned and option.dial not in USED_DIALS[dataset]:
            used = ", ".join(o.flag for o in _OPTIONS if o.dial in USED_DIALS[dataset])
            raise click.BadParameter(
                f"changes nothing of {dataset}, which has {used}", param_hint=option.flag
            )
    dials = Dials(**turned)
    for name in (dataset,) if dataset != "all" else USED_DIALS:
        dials.check_for(name)
    return dials


def parse_films(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, int, int] | None:
    """Three numbers of films; a callback of click."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(
            f"wanted three numbers, TRAIN,VALIDATION,TEST, such as 1600,320,0; found {text!r}"
        )
    train, validation, test = (int(part) for part in parts)
    if train < 1:
        raise click.BadParameter(f"wanted at least 1 film to train on, found {text!r}")
    return train, validation, test
