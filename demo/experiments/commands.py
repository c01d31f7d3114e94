"""`orn demo importance`, `orn demo tables`, and `orn leaks` of any data set."""

from typing import Annotated

from orn.demo.experiments.request import TablesRequest
from orn.shared.common_options import AsJson, DryRun, FilePath
from orn.shared.echo import echo, echo_json, echo_report, echo_text
from orn.shared.manifests.records import Split
from orn.shared.options import Argument, Option, command
from orn.stage2_train.leaks.request import LeaksRequest
from orn.stage2_train.resources import OF_RUN, Resources, wait_passively

_USUAL = Resources()


@command("importance")
def demo_importance(
    runs: Annotated[tuple[FilePath, ...], Argument("RUN")],
    *,
    split: Annotated[Split, Option("Which clips.")] = "validation",
    all_clips: Annotated[bool, Option("Also those that are classified wrongly.")] = False,
    out: Annotated[
        FilePath | None,
        Option("Of several runs: folder for the figures and the curves of all together."),
    ] = None,
    resources: Annotated[Resources, OF_RUN] = _USUAL,
    as_json: AsJson = False,
) -> None:
    """Say whether the pairs that a RUN on the demo finds important are those that act.

    How often the first pair is the one that acts, on rightly classified clips; what the object head
    says when important pairs are taken out or put in; and the same with random weights, which must
    point nowhere. Kept as RUN/importance-SPLIT.json, the curves as .png. Of several runs the means
    are printed, with intervals over the runs.
    """
    wait_passively()
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


@command("leaks")
def leaks(request: LeaksRequest, *, as_json: AsJson = False) -> None:
    """Measure how much of DATASET's labels simple shortcuts predict.

    From label tables and shards, in minutes and without training: the majority, which classes are
    seen and how many, where boxes are, one frame, frames without their order; and what this means
    for a claim that objects matter. With --train also networks that see classes alone, shapes
    alone, one frame, shuffled frames; interrupted, it goes on where it was. On worlds of the demo
    also what only the ground truth tells: the presence of classes, hidden ones too, and an oracle,
    which has to be right always. The report is printed and kept as OUT/leaks-SPLIT.json and .md.
    """
    from orn.demo.experiments.leaks import leak_report
    from orn.stage2_train.leaks.report import as_report

    echo_report(leak_report(request), as_report, as_json=as_json)


@command("tables")
def demo_tables(
    request: TablesRequest, *, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Repeat the comparisons of docs/results.md on DATASET, from drawing its films on.

    Everything lies below the current folder in tables/. Called again, it does only what is missing.
    """
    from orn.demo.experiments.experiments import describe_tables, run_tables

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
