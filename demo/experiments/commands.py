"""The commands `orn demo importance`, `orn demo tables` and `orn leaks`."""

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
    split: Annotated[Split, Option("Split of the clips.")] = "validation",
    all_clips: Annotated[bool, Option("Include misclassified clips.")] = False,
    out: Annotated[
        FilePath | None,
        Option("Folder for the combined figures and curves of several runs."),
    ] = None,
    resources: Annotated[Resources, OF_RUN] = _USUAL,
    as_json: AsJson = False,
) -> None:
    """Measure how often the most important pair of objects is the acting pair, in demo RUNs.

    Reports this fraction for correctly classified clips, deletion and insertion curves of the
    object head, and the same for random weights as a control. Writes RUN/importance-SPLIT.json, and
    the curves as .png. For several runs, prints means with intervals over the runs.
    """
    wait_passively()
    from orn.demo.experiments.importance import measure_importance, write_report
    from orn.demo.experiments.importance_summary import as_report, mean_of_runs
    from orn.shared.jobs.outputs import check_output_folder

    if out is not None:
        check_output_folder(out, ours=["importance-*.json"], reads=runs)
    reports = [
        measure_importance(run, split=split, resources=resources, correct_only=not all_clips)
        for run in runs
    ]
    report = reports[0] if len(reports) == 1 else mean_of_runs(reports)
    if out is not None:
        write_report(report, out)
    echo_report(report, as_report, as_json=as_json)


@command("leaks")
def leaks(request: LeaksRequest, *, as_json: AsJson = False) -> None:
    """Measure how well simple shortcuts predict the labels of DATASET.

    Computes shortcut baselines from label tables and shards, in minutes and without training: the
    majority class, counts of the detected classes, positions of boxes, one frame, unordered frames.
    With --train, also trains networks on classes only, shapes only, one frame, or shuffled frames;
    an interrupted training run resumes. On the demo world, it adds ground truth baselines and an
    oracle, which must always be correct. Prints the report and writes OUT/leaks-SPLIT.json and .md.
    """
    from orn.demo.experiments.leaks import leak_report
    from orn.stage2_train.leaks.report import as_report

    echo_report(leak_report(request), as_report, as_json=as_json)


@command("tables")
def demo_tables(
    request: TablesRequest, *, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Reproduce the comparisons of docs/results.md on DATASET, and generate its films.

    Writes to tables/ in the current folder. Completed steps are skipped.
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
