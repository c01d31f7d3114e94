"""Pipelines of `orn run` on a tiny world, whose steps are carried out in this process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orn.data_manifests.folds import draw_folds, requested_folds, write_fold_manifests
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


def begin(pipeline: Pipeline) -> None:
    """Begin the folder of a run, with the manifests of its folds if it has some."""
    pipeline.begin()
    if pipeline.folds:
        _, changes = requested_folds(pipeline.manifest, folds=pipeline.folds, group=None)
        table = pipeline.data_root / "tiny" / "labels.csv"
        rows = [line.rpartition(",")[0] for line in table.read_text().splitlines()]
        table.write_text("\n".join(rows))
        draw_folds(table, changes)
        paths = [Path(training.manifest) for training in pipeline.trainings]
        write_fold_manifests(pipeline.manifest, paths, changes)


def carry_out(argv: Sequence[str], *, exit_code: int | None = 0) -> Any:
    """What a step did, on one CPU core."""
    return run_orn(*argv, *(LAPTOP if argv[0] != "baseline" else ()), exit_code=exit_code)
