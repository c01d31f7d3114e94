"""The commands `orn demo` and `orn demo world`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orn.demo.world.parameters import USED_PARAMETERS, World, WorldParameters
from orn.shared.common_options import AsJson, Count, DataRoot, Seed
from orn.shared.echo import echo, echo_report
from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError
from orn.shared.options import Argument, Option, command, option_names
from orn.shared.text import counted

_USUAL = WorldParameters()


def _films(value: Any) -> Any:
    parts = value.split(",") if isinstance(value, str) else value
    if len(parts) != 3:
        raise ValueError(
            f"expected three numbers, TRAIN,VALIDATION,TEST, got {value!r}; pass 1600,320,0, for "
            "example"
        )
    return parts


_Films = Annotated[
    tuple[Count, Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]],
    BeforeValidator(_films),
]


@command("demo")
def demo(
    *,
    short: Annotated[bool, Option("Use a few films, to test the installation.")] = False,
    full: Annotated[bool, Option("Use many films and train for hours.")] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline once: generate films, detect their objects, train, and evaluate.

    Writes to data/, shards/, clips/ and runs/ in the current folder. Completed steps are skipped.
    """
    from orn.demo.demo_job import as_report, demo_pipeline, run_demo

    size = "short" if short else "full" if full else "standard"
    summary = run_demo(size, seed)
    echo_report(summary, partial(as_report, pipeline=demo_pipeline(size, seed)), as_json=as_json)


def _check_parameters(dataset: World, parameters: WorldParameters) -> None:
    """Raise ConfigError if a given parameter is invalid or not used by the data set."""
    parameters.check_for(dataset)
    used = USED_PARAMETERS[dataset]
    unused = sorted(parameters.model_fields_set.difference(used))
    if unused:
        options = option_names(WorldParameters)
        choices = ", ".join(options[each] for each in used if each in options)
        raise ConfigError(
            f"{options[unused[0]]}: expected a parameter of {dataset} ({choices}), which does not "
            "use this option; omit it"
        )


@command("world")
def demo_world(
    dataset: Annotated[World, Argument("DATASET")],
    *,
    data_root: DataRoot = Path("data"),
    size: Annotated[Literal["short", "standard", "full"], Option("Number of films.")] = "standard",
    films: Annotated[
        _Films | None,
        Option("Number of films per split, instead of --size.", metavar="TRAIN,VALIDATION,TEST"),
    ] = None,
    parameters: WorldParameters = _USUAL,
    seed: Seed = 0,
    workers: Annotated[Count | None, Option("Number of processes.", usual="one per core")] = None,
) -> None:
    """Write the films of the demo world to --data, with label tables and ground truth.

    A complete data set is skipped, and an interrupted one resumes. Parameters that DATASET does not
    use are rejected.
    """
    from orn.demo.world.make import SIZES, write_dataset

    _check_parameters(dataset, parameters)
    drawn = write_dataset(
        dataset, data_root, films=films or SIZES[size][dataset], parameters=parameters, seed=seed,
        workers=workers or usable_cores(),
    )  # fmt: skip
    done = f"{counted(drawn, 'film')} drawn" if drawn else "complete"
    echo(f"{data_root / dataset}: {done}", err=True)
