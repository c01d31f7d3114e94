"""The command `orn import-checkpoint`."""

from pathlib import Path
from typing import Annotated

from orn.shared.common_options import AsJson, DataRoot, FilePath, Overrides
from orn.shared.echo import echo_report
from orn.shared.options import Argument, Option, command
from orn.shared.text_report import report_of
from orn.stage2_train.settings.resources import ClipsFolder, Resources, ShardsFolder


@command("import-checkpoint")
def import_checkpoint(
    file: Annotated[FilePath, Argument("FILE")],
    out: Annotated[FilePath, Argument("OUT")],
    *,
    dataset: Annotated[str, Option("Data set used for training.")] = "vlog",
    data_root: DataRoot = Path("data"),
    shards: ShardsFolder = None,
    clips: ClipsFolder = None,
    overrides: Overrides = (),
    as_json: AsJson = False,
) -> None:
    """Convert FILE, a checkpoint released by the paper's authors, into the run OUT.

    Only the label tables of the data set are needed. The recipe is authors_vlog. Evaluate the run
    with `orn eval`.
    """
    from orn.stage2_train.runs.import_checkpoint import import_checkpoint as run

    resources = Resources(data_root=data_root, shards=shards, clips=clips)
    result = run(file, out, dataset=dataset, resources=resources, overrides=overrides)
    echo_report(result, report_of, as_json=as_json)
