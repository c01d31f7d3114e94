"""The commands `orn compare`, `runs`, `ablate` and `eval-epic100`."""

from pathlib import Path
from typing import Any

import click

from orn.commands import options
from orn.commands.output import echo_result
from orn.data_manifests.records import Split
from orn.shared.jobs.progress import TERMINAL
from orn.shared.text_summary import summary_of


@click.command("compare")
@click.argument("one", metavar="ONE", type=options.PATH)
@click.argument("other", metavar="OTHER", type=options.PATH)
@click.option(
    *("--on", "name"),
    help="Evaluation to compare: NAME in eval-NAME.json, such as a split.  [default: folds if "
    "both runs are cross-validations, else validation]",
)
@options.as_json
def compare(one: Path, other: Path, *, name: str | None, as_json: bool) -> None:
    """Compare two runs on the same segments: by how much and where OTHER is better than ONE.

    First evaluate both runs with `orn eval`, which stores their predictions.
    """
    from orn.stage2_train.evaluation import compare as comparison

    echo_result(comparison.compare(one, other, name=name), comparison.as_summary, as_json=as_json)


@click.command("runs")
@click.option("--folder", type=options.PATH, help="Folder of runs.  [default: runs]")
@options.split("Split of the metrics from `orn eval`.")
@options.as_json
def runs(*, folder: Path | None, split: Split | None, as_json: bool) -> None:
    """List the runs in runs/ with their progress, metrics and differing settings."""
    from orn.stage2_train.evaluation.list_runs import as_text, read_runs

    folder, split = folder or Path("runs"), split or "validation"
    found = read_runs(folder, split=split)
    echo_result({"split": split, "runs": found}, lambda _: as_text(found, folder), as_json=as_json)


@click.command("ablate")
@click.argument("manifest", metavar="DATASET")
@click.option(
    "--table",
    type=click.Choice(["2", "5", "baselines"]),
    help="Train the systems of this table of the paper, or all of its baselines.",
)
@click.option(
    "--systems",
    type=options.Parsed("text", lambda names: tuple(names.split(","))),
    help="Train these systems, comma-separated.",
)
@click.option(
    *("--seeds", "num_seeds"),
    type=click.IntRange(1, 1000),
    help="Number of seeds per system.  [default: 5]",
)
@options.recipe
@options.overrides
@click.option(
    "--out", type=options.PATH, help="Folder of the runs.  [default: runs/ablate-DATASET]"
)
@click.option("--test", is_flag=True, help="Compare on the test split.")
@options.data_root
@options.stores
@options.partial
@click.option(
    "--workers", type=click.IntRange(0, 256), help="Number of data-loading processes.  [default: 0]"
)
@options.device
@options.dry_run
@options.as_json
def ablate(*, dry_run: bool, as_json: bool, **typed: Any) -> None:
    """Train and evaluate systems of the paper on DATASET with several seeds, and compare them.

    All systems use the same recipe; --set changes its settings. Rerun the command to
    resume it. Several commands may share --out: the report covers all finished runs there, so that
    each system can have settings of its own. It is printed and saved as OUT/ablation-SPLIT.json and
    .md. Of a manifest with folds, every run is trained on each and evaluated on all.
    """
    from orn.stage2_train.settings.resources import DataAndDevice
    from orn.steps import ablate as ablation
    from orn.steps.ablation_plan import AblationConfig
    from orn.steps.ablation_summary import as_summary

    config = options.config_of(AblationConfig, typed, resources=DataAndDevice())
    if dry_run:
        echo_result(ablation.describe_ablation(config), summary_of, as_json=as_json)
        return
    echo_result(ablation.ablate(config, TERMINAL), as_summary, as_json=as_json)


@click.command("eval-epic100")
@click.argument("verb_run", metavar="VERB_RUN", type=options.PATH)
@click.argument("noun_run", metavar="NOUN_RUN", type=options.PATH)
@click.option(
    *("--on", "name"),
    help="Evaluation to use: NAME in eval-NAME.json, such as a split.  [default: validation]",
)
@options.data("Data root.  [default: the runs']")
@options.as_json
def eval_epic100(
    verb_run: Path, noun_run: Path, *, name: str | None, data_root: Path | None, as_json: bool
) -> None:
    """Print the EPIC-KITCHENS-100 recognition challenge metrics for VERB_RUN and NOUN_RUN.

    The metrics are top-1 and top-5 accuracy of verbs, nouns and actions on all segments, on unseen
    participants and on tail classes. Evaluate both runs with `orn eval` first.
    """
    from orn.stage2_train.evaluation import epic100

    name = name or "validation"
    result = epic100.measure_epic100(verb_run, noun_run, name=name, data_root=data_root)
    echo_result(result, epic100.as_summary, as_json=as_json)
