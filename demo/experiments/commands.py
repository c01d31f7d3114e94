"""`orn demo importance`, `orn demo tables`, and `orn leaks` of any data set."""

from pathlib import Path
from typing import Any, Literal

import click

from orn.shared.cli_options import (
    dataset_argument,
    dry_run_option,
    echo,
    echo_json,
    echo_report,
    echo_text,
    json_option,
    out_option,
    set_option,
)
from orn.shared.environment import usable_cores
from orn.stage2_train.ablation.commands import jobs_option, seeds_option
from orn.stage2_train.resources import Resources, resource_options


@click.command("importance")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="validation",
    show_default=True,
    help="Which clips.",
)
@click.option("--all-clips", is_flag=True, help="Also those that are classified wrongly.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Of several runs: folder for the figures and the curves of all together.",
)
@resource_options(of_run=True, workers=0)
@json_option
def demo_importance(
    runs: tuple[Path, ...],
    split: str,
    all_clips: bool,
    out: Path | None,
    resources: Resources,
    as_json: bool,
) -> None:
    """Say whether the pairs that a RUN on the demo finds important are those that act.

    How often the first pair is the one that acts, on rightly classified clips; what the object head
    says when important pairs are taken out or put in; and the same with random weights, which must
    point nowhere. Kept as RUN/importance-SPLIT.json, the curves as .png. Of several runs the means
    are printed, with intervals over the runs.
    """
    from orn.demo.experiments.importance import measure_importance, write_report
    from orn.demo.experiments.importance_summary import as_report, over_runs
    from orn.shared.jobs.outputs import check_output_folder

    if out is not None:
        check_output_folder(out, ours=["importance-*.json"], reads=runs)
    reports = [
        measure_importance(run, split=split, resources=resources, right_only=not all_clips)
        for run in runs
    ]
    report = reports[0] if len(reports) == 1 else over_runs(reports)
    if out is not None:
        write_report(report, out)
    echo_report(report, as_report, as_json=as_json)


@click.command("leaks")
@dataset_argument
@click.option("--train", is_flag=True, help="Also train networks that see a part; needs frames.")
@seeds_option
@click.option("--recipe", help="Name or TOML file of a recipe.  [default: by data set]")
@set_option
@out_option("runs/leaks-DATASET")
@click.option("--test", is_flag=True, help="Measure on the test split in place of validation.")
@jobs_option
@resource_options(workers=0)
@json_option
def leaks(
    dataset: str,
    train: bool,
    num_seeds: int,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how much of DATASET's labels simple shortcuts predict.

    From label tables and shards, in minutes and without training: the majority, which classes are
    seen and how many, where boxes are, one frame, frames without their order; and what this means
    for a claim that objects matter. With --train also networks that see classes alone, shapes
    alone, one frame, shuffled frames; interrupted, it goes on where it was. On worlds of the demo
    also what only the ground truth tells: the presence of classes, hidden ones too, and an oracle,
    which has to be right always. The report is printed and kept as OUT/leaks-SPLIT.json and .md.
    """
    from orn.demo.experiments.leaks import leak_report
    from orn.shared.manifests.load import load_manifest
    from orn.stage2_train.ablation.plan import AblationRequest
    from orn.stage2_train.leaks.report import as_report

    request = AblationRequest(
        manifest=dataset,
        table="leaks",
        seeds=tuple(range(num_seeds)),
        out=out or Path("runs") / f"leaks-{load_manifest(dataset).name}",
        **options,
    )
    echo_report(leak_report(request, train=train), as_report, as_json=as_json)


@click.command("tables")
@click.argument("dataset", type=click.Choice(["demo", "demo-touch", "demo-places"]))
@click.option("--short", "size", flag_value="short", help="A few films and steps: shows it works.")
@click.option(
    "--experiments",
    help="What to measure, some of: table2, reversed, table5, compared, controls, classes, heads, "
    "steps, films, frames, decoys, objects, pairs.  [default: the main claims]",
)
@click.option("--systems", help="Rows of table 2, separated by commas, or all.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Of all trainings; bf16 is faster where the processor computes in it.",
)
@seeds_option
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=usable_cores,
    show_default="cores",
    help="Trainings at the same time.",
)
@dry_run_option
@json_option
def demo_tables(
    size: Literal["short"] | None,
    experiments: str | None,
    systems: str | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Repeat the comparisons of docs/results.md on DATASET, from drawing its films on.

    Everything lies below the current folder in tables/. Called again, it does only what is missing.
    Without --systems, table 2 has the rows that the main claims are about.
    """
    from orn.demo.experiments.experiments import describe_tables, run_tables
    from orn.demo.experiments.tables import TablesRequest

    chosen = None if systems is None else tuple(systems.split(","))
    request = TablesRequest(
        size=size or "full",
        experiments=tuple(experiments.split(",")) if experiments else (),
        systems=() if chosen == ("all",) else chosen,
        **options,
    )
    if dry_run:
        described = describe_tables(request)
        if as_json:
            echo_json(described)
        for job in () if as_json else described["jobs"]:
            echo(f"{'done' if job['done'] else 'to do'}: {job['command']}")
        return
    reports = run_tables(request)
    if as_json:
        echo_json({"reports": [str(path) for path in reports]})
    for path in () if as_json else reports:
        echo_text(f"{path}\n\n{path.read_text(encoding='utf-8')}")
