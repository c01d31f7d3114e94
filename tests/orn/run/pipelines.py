"""Pipelines of `orn run` on a tiny world, whose steps are carried out in this process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orn.run.plan_run import Pipeline
from tests.running import LAPTOP, run_orn
from tests.worlds.films import TinyWorld


def pipeline_of(world: TinyWorld, options: dict[str, str], **more: Any) -> Pipeline:
    """A pipeline with the options of `make_workspace`."""
    return Pipeline(
        manifest=options["manifest"],
        data_root=Path(options["--data"]),
        run=Path(options["--run"]),
        shards=world.shards_path,
        clips=world.store_path,
        recipe=options["--recipe"],
        **more,
    )


def carry_out(argv: Sequence[str], *, exit_code: int | None = 0) -> Any:
    """What a step did, on one CPU core."""
    return run_orn(*argv, *(LAPTOP if argv[0] != "baseline" else ()), exit_code=exit_code)
