"""`orn train`, `eval`, `compare`, `import-checkpoint`: call one function, print what came out."""

from pathlib import Path
from typing import Annotated, Any

from orn.shared.common_options import AsJson, DataRoot, DryRun, FilePath, Overrides
from orn.shared.echo import echo_report
from orn.shared.options import Argument, Option, command
from orn.stage2_train.newest_data import NEWEST, of_newest_data
from orn.stage2_train.requests import CompareRequest, EvalRequest, TrainRequest
from orn.stage2_train.resources import ClipsFolder, Resources, ShardsFolder, wait_passively


@command("train")
def train(request: TrainRequest, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Train the network on the clips and shards of DATASET, or go on with a training; without
    DATASET, on the data set whose objects were completed last.

    Where there are shards and no clip store, `orn clips` makes it first.
    A run folder holds one training: calling this again goes on where it was left, and does nothing
    when it is finished.
    """
    wait_passively()
    from orn.stage2_train.training.train import describe_training
    from orn.stage2_train.training.train import train as run

    if request.manifest == NEWEST:
        manifest, resources = of_newest_data(request.resources)
        request = request.changed(manifest=manifest, resources=resources)
    result = describe_training(request) if dry_run else run(request)
    if dry_run and not as_json:
        steps = ", ".join(f"{number} of {phase}" for phase, number in result["steps"].items())
        recipe = result.pop("recipe")
        result |= {"steps": steps, "recipe": f"\n\n{recipe}"}
    echo_report(result, _lines, as_json=as_json)


@command("eval")
def evaluate(request: EvalRequest, *, as_json: AsJson = False) -> None:
    """Measure the training in the folder RUN on one split; without RUN, the newest training.

    RUN may be a folder that `orn export` wrote, or hf://ORG/NAME; its data is where --data,
    --shards and --clips say.
    """
    wait_passively()
    from orn.stage2_train.evaluation.evaluate import evaluate as measure
    from orn.stage2_train.runs.eval_file import as_report

    echo_report(measure(request), as_report, as_json=as_json)


@command("import-checkpoint")
def import_checkpoint(
    file: Annotated[FilePath, Argument("FILE")],
    out: Annotated[FilePath, Argument("OUT")],
    *,
    dataset: Annotated[str, Option("Data set that it was trained on.")] = "vlog",
    data_root: DataRoot = Path("data"),
    shards: ShardsFolder = None,
    clips: ClipsFolder = None,
    overrides: Overrides = (),
    as_json: AsJson = False,
) -> None:
    """Make the run OUT, for `orn eval`, of FILE: the network that the paper's authors released.

    Needs the label tables of the data set, and nothing else of it. The recipe is authors_vlog.
    """
    from orn.stage2_train.runs.import_checkpoint import import_checkpoint as run

    resources = Resources(data_root=data_root, shards=shards, clips=clips)
    result = run(file, out, dataset=dataset, resources=resources, overrides=overrides)
    echo_report(result, _lines, as_json=as_json)


@command("compare")
def compare(request: CompareRequest, *, as_json: AsJson = False) -> None:
    """Say how much better the run OTHER is than ONE on the same segments, and on which.

    Both have to be measured by `orn eval`, which keeps what they predict.
    """
    from orn.stage2_train.evaluation import compare as comparison

    echo_report(comparison.compare(request), comparison.as_report, as_json=as_json)


def _lines(result: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in result.items())
