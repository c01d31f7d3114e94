"""The commands `orn compare`, `runs`, `ablate` and `eval-epic100`."""

from pathlib import Path
from typing import Annotated

from orn.data_manifests.records import Split
from orn.shared.common_options import AsJson, DryRun, FilePath
from orn.shared.echo import echo_result
from orn.shared.options import Argument, Option, command
from orn.shared.text_summary import summary_of
from orn.stage2_train.compare.ablation_plan import AblationRequest


@command("compare")
def compare(
    one: Annotated[FilePath, Argument("ONE")],
    other: Annotated[FilePath, Argument("OTHER")],
    *,
    name: Annotated[
        str | None,
        Option(
            "Evaluation to compare: NAME in eval-NAME.json, such as a split.",
            name="--on",
            usual="folds if both runs are cross-validations, else validation",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs on the same segments: by how much and where OTHER is better than ONE.

    First evaluate both runs with `orn eval`, which stores their predictions.
    """
    from orn.stage2_train.compare import compare as comparison

    echo_result(comparison.compare(one, other, name=name), comparison.as_summary, as_json=as_json)


@command("runs")
def runs(
    *,
    folder: Annotated[FilePath, Option("Folder of runs.")] = Path("runs"),
    split: Annotated[Split, Option("Split of the metrics from `orn eval`.")] = "validation",
    as_json: AsJson = False,
) -> None:
    """List the runs in runs/ with their progress, metrics and differing settings."""
    from orn.stage2_train.compare.runs import as_text, read_runs

    found = read_runs(folder, split=split)
    echo_result({"split": split, "runs": found}, lambda _: as_text(found, folder), as_json=as_json)


@command("ablate")
def ablate(request: AblationRequest, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Train and evaluate systems of the paper on DATASET with several seeds, and compare them.

    All systems use the same recipe; --set and --vary change its settings. Rerun the command to
    resume it. Several commands may share --out: the report covers all finished runs there, so that
    each system can have settings of its own. It is printed and saved as OUT/ablation-SPLIT.json and
    .md. Of a manifest with folds, every run is trained on each and evaluated on all.
    """
    from orn.stage2_train.compare import ablate as ablation
    from orn.stage2_train.compare.ablation_summary import as_summary

    if dry_run:
        echo_result(ablation.describe_ablation(request), summary_of, as_json=as_json)
        return
    echo_result(ablation.ablate(request), as_summary, as_json=as_json)


@command("eval-epic100")
def eval_epic100(
    verb_run: Annotated[FilePath, Argument("VERB_RUN")],
    noun_run: Annotated[FilePath, Argument("NOUN_RUN")],
    *,
    name: Annotated[
        str, Option("Evaluation to use: NAME in eval-NAME.json, such as a split.", name="--on")
    ] = "validation",
    data_root: Annotated[
        FilePath | None, Option("Data root.", name="--data", usual="the runs'")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the EPIC-KITCHENS-100 recognition challenge metrics for VERB_RUN and NOUN_RUN.

    The metrics are top-1 and top-5 accuracy of verbs, nouns and actions on all segments, on unseen
    participants and on tail classes. Evaluate both runs with `orn eval` first.
    """
    from orn.stage2_train.compare import epic100

    result = epic100.measure_epic100(verb_run, noun_run, name=name, data_root=data_root)
    echo_result(result, epic100.as_summary, as_json=as_json)
