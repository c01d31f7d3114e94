"""`orn import-masks`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from orn.shared.common_options import (
    AsJson,
    DataRoot,
    DatasetName,
    DryRun,
    EngineOptions,
    FilePath,
    out_option,
)
from orn.shared.echo import echo_report, echo_settings
from orn.shared.options import Argument, Option, Said, command


@command("import-masks")
def import_masks(
    dataset: DatasetName,
    source: Annotated[FilePath, Argument("SRC")],
    *,
    form: Annotated[
        Literal["authors", "epic100"],
        Option(
            "authors: SRC/VIDEO/clip.pkl, the masks for VLOG by the authors of the paper. epic100: "
            "SRC/PXX/PXX_YY.pkl, the masks released with EPIC Kitchens 100.",
            name="--format",
        ),
    ],
    rate: Annotated[
        Annotated[float, Field(gt=0, le=1000)] | None,
        Option("Mask frames a second, for epic100 where the ids are not EPIC's."),
    ] = None,
    data_root: DataRoot = Path("data"),
    out: Annotated[FilePath | None, out_option("shards/DATASET")] = None,
    engine: Annotated[
        EngineOptions,
        Said(workers=Option("Processes or actors that read.", usual="1; on Ray one a core")),
    ] = EngineOptions(),
    fresh: Annotated[bool, Option("Remove the job that is in the folder, start over.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Turn released masks of DATASET, in the folder SRC, into shards in place of `orn detect`.

    The files are pickles and cannot run anything here: what they do not need is refused. An import
    that was cut off goes on where it stopped. Ends with 3 if files could not be imported.
    """
    from orn.shared.errors import ConfigError
    from orn.shared.jobs.engines import choose_engine
    from orn.stage1_detect.imports.job import (
        describe_import,
        exit_code,
        plan_import,
        report,
        run_import,
    )

    if form == "authors" and rate is not None:
        raise ConfigError("--rate is for the format epic100; the authors' masks are at 30 a second")
    if engine.engine == "local" and engine.workers is None:
        engine = engine.changed(workers=1)
    units_by = choose_engine(engine)
    job = plan_import(dataset, data_root, source, form=form, folder=out, rate=rate)
    if dry_run:
        echo_settings(describe_import(job), as_json=as_json)
        return 0
    summary = run_import(job, fresh=fresh, engine=units_by)
    echo_report(summary, report, as_json=as_json)
    return exit_code(summary)
