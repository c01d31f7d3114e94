"""The commands `orn demo` and `orn demo world`."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from orn.shared.common_options import AsJson, Count, DataRoot, Seed
from orn.shared.echo import echo, echo_report
from orn.shared.environment import usable_cores
from orn.shared.options import Option, command
from orn.shared.text import counted


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
def demo(*, seed: Seed = 0, as_json: AsJson = False) -> None:
    """Run the whole pipeline once: generate films, detect their objects, train, and evaluate.

    Writes to data/, shards/, clips/ and runs/ in the current folder. Completed steps are skipped.
    """
    from orn.demo.demo_job import as_report, demo_pipeline, run_demo

    summary = run_demo(seed)
    echo_report(summary, partial(as_report, pipeline=demo_pipeline(seed)), as_json=as_json)


@command("world")
def demo_world(
    *,
    data_root: DataRoot = Path("data"),
    films: Annotated[
        _Films, Option("Number of films per split.", metavar="TRAIN,VALIDATION,TEST")
    ] = (560, 200, 0),
    seed: Seed = 0,
    workers: Annotated[Count | None, Option("Number of processes.", usual="one per core")] = None,
) -> None:
    """Write the films of the demo world to --data, with their label table and ground truth.

    A complete world is skipped, and an interrupted one resumes.
    """
    from orn.demo.world.make import PARTS, WORLD, write_world

    drawn = write_world(
        data_root,
        films=dict(zip(PARTS, films, strict=True)),
        seed=seed,
        workers=workers or usable_cores(),
    )
    done = f"{counted(drawn, 'film')} drawn" if drawn else "complete"
    echo(f"{data_root / WORLD}: {done}", err=True)
