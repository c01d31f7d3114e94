"""`orn demo` and its parts, from drawing the world to the comparisons of docs/results.md."""

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from demo.world.dials import DETECTOR_FRAMES, USED_DIALS, WORLDS, Dials
from shared.cli_options import (
    NumberRange,
    data_option,
    dataset_argument,
    device_option,
    dry_run_option,
    echo_json,
    echo_report,
    json_option,
    out_option,
    seed_option,
    set_option,
)
from shared.environment import usable_cores
from stage2_train.ablation.commands import jobs_option, seeds_option
from stage2_train.resources import Resources, resource_options

DETECTOR_FILMS = {"train": 4000, "validation": 250}
_EXPERIMENTS = sorted(
    path.stem for path in Path(__file__).with_name("experiments").glob("*.toml")
    if path.stem != "worlds"
)  # fmt: skip
_DIALS = tuple(dial for dial in dataclasses.fields(Dials) if dial.metadata["flag"])


@click.command("demo")
@click.option("--short", "size", flag_value="short", help="A few films: shows that all works.")
@click.option("--full", "size", flag_value="full", help="Many films and long training: hours.")
@seed_option
@json_option
def demo(size: str | None, seed: int, as_json: bool) -> None:
    """Draw small films, detect their objects, train on them and say how well that went.

    Everything lies below the current folder in data/, shards/, clips/ and runs/. Called again, it
    does only what is missing.
    """
    from demo.run import demo_places, run_demo, summary_text

    size = size or "standard"
    summary = run_demo(size=size, seed=seed)
    echo_report(summary, partial(summary_text, places=demo_places(size, seed)), as_json=as_json)


def _parse_films(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(
            f"wanted three numbers, TRAIN,VALIDATION,TEST, such as 1600,320,0; found {text!r}"
        )
    if int(parts[0]) < 1:
        raise click.BadParameter(f"wanted at least 1 film to train on, found {text!r}")
    return tuple(map(int, parts))


def _dial_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each dial; the command gets the dial's value, None if it was not given."""
    for dial in reversed(_DIALS):
        kind = click.IntRange if isinstance(dial.default, int) else NumberRange
        command = click.option(
            dial.metadata["flag"],
            dial.name,
            type=kind(dial.metadata["least"], dial.metadata["largest"]),
            help=f"{dial.metadata['help']}  [default: {dial.default}]",
        )(command)
    return command


def _given_dials(dataset: str, given: dict[str, Any]) -> Dials:
    """The dials that were given, refused where one changes nothing of the data set."""
    turned = {name: value for name, value in given.items() if value is not None}
    if dataset != "all":
        used = [dial.metadata["flag"] for dial in _DIALS if dial.name in USED_DIALS[dataset]]
        for dial in _DIALS:
            if dial.name in turned and dial.metadata["flag"] not in used:
                raise click.BadParameter(
                    f"changes nothing of {dataset}, which has {', '.join(used)}",
                    param_hint=dial.metadata["flag"],
                )
    dials = Dials(**turned)
    for name in USED_DIALS if dataset == "all" else (dataset,):
        dials.check_for(name)
    return dials


@click.command("world")
@click.argument("dataset", type=click.Choice(["all", *WORLDS, DETECTOR_FRAMES]))
@data_option
@click.option(
    "--size",
    type=click.Choice(["short", "standard", "full"]),
    default="standard",
    show_default=True,
    help="How many films.",
)
@click.option(
    "--films",
    metavar="TRAIN,VALIDATION,TEST",
    callback=_parse_films,
    help="How many films, in place of --size.",
)
@_dial_options
@seed_option
@click.option("--workers", type=click.IntRange(1), default=None, help="Processes; default: cores.")
def demo_world(
    dataset: str,
    data_root: Path,
    size: str,
    films: tuple[int, ...] | None,
    seed: int,
    workers: int | None,
    **given: Any,
) -> None:
    """Draw the films, label tables and ground truth of the demo world under --data.

    What is whole already is left alone; an interrupted drawing goes on where it was. A dial that
    does not turn DATASET is refused; with `all` it turns those data sets that have it.
    """
    from demo.detector.frames import write_detector_frames
    from demo.world.make import SIZES, write_dataset

    dials, workers = _given_dials(dataset, given), workers or usable_cores()
    if films is not None and dataset not in WORLDS:
        raise click.BadParameter(
            f"wanted one of {', '.join(WORLDS)} as DATASET, found {dataset}", param_hint="--films"
        )
    if dataset == DETECTOR_FRAMES:
        write_detector_frames(
            data_root, films=DETECTOR_FILMS, dials=dials, seed=seed, workers=workers
        )
        return
    for name in WORLDS if dataset == "all" else (dataset,):
        drawn = write_dataset(
            name, data_root, films=films or SIZES[size][name], dials=dials, seed=seed,
            workers=workers,
        )  # fmt: skip
        click.echo(f"{data_root / name}: {f'{drawn} films drawn' if drawn else 'whole'}", err=True)


@click.command("truth")
@click.argument("dataset", type=click.Choice(WORLDS))
@data_option
@out_option("shards/DATASET-truth")
def demo_truth(dataset: str, data_root: Path, out: Path | None) -> None:
    """Write what the films of DATASET truly show as shards, in place of `orn detect`.

    A control: training on them (`--shards`) says what a perfect detector would give.
    """
    from demo.world.truth_shards import write_truth_shards

    folder = out or Path("shards") / f"{dataset}-truth"
    written = write_truth_shards(dataset, data_root, folder)
    click.echo(f"{folder}: {f'{written} shards written' if written else 'whole'}", err=True)


@click.command("detector")
@data_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the weights, with a record beside it in FILE.json.  "
    "[default: DATA/demo-detector/detector.pth]",
)
@click.option("--iterations", type=click.IntRange(1), default=4000, show_default=True)
@click.option(
    "--batch", type=click.IntRange(2), default=8, show_default=True, help="Frames a step."
)
@click.option("--evaluate-every", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: torch's choice]")
@seed_option
@json_option
def demo_detector(
    data_root: Path,
    out: Path | None,
    iterations: int,
    batch: int,
    evaluate_every: int,
    threads: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Train the small detector of the demo from random weights on DATA/demo-detector.

    An interrupted training goes on where it last saved.
    """
    import torch

    from demo.detector.training import DetectorTraining, demo_config, train_detector

    if threads:
        torch.set_num_threads(threads)
    folder = data_root / DETECTOR_FRAMES
    settings = DetectorTraining(
        iterations=iterations, batch=batch, evaluate_every=evaluate_every, seed=seed
    )
    out = out or folder / "detector.pth"
    record = train_detector(
        folder, out, config=demo_config(), settings=settings, command=["orn", *sys.argv[1:]]
    )
    found = ", ".join(f"{key} {value:.3f}" for key, value in record["average_precision"].items())
    click.echo(f"{out}: {iterations} steps in {record['seconds']} s, {found}", err=True)
    if as_json:
        echo_json(record)


@click.command("reverse")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="What to measure.",
)
@device_option
@json_option
def demo_reverse(run: Path, split: str, device: str, as_json: bool) -> None:
    """Measure a RUN on the demo with its films forward and backwards.

    Backwards, half of the activities become another one: a system that sees the order of frames
    names that one. The figures are printed and kept as RUN/reversed-SPLIT.json.
    """
    from demo.experiments.reverse import measure_reversed, reversed_text

    figures = measure_reversed(run, split=split, device=device)
    echo_report(figures, reversed_text, as_json=as_json)


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
    from demo.experiments.importance import measure_importance, write_report
    from demo.experiments.importance_summary import importance_text, over_runs

    reports = [
        measure_importance(run, split=split, resources=resources, right_only=not all_clips)
        for run in runs
    ]
    report = reports[0] if len(reports) == 1 else over_runs(reports)
    if out is not None:
        write_report(report, out)
    echo_report(report, importance_text, as_json=as_json)


def _leak_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of both commands, beside what they leave out or add."""
    options = (
        seeds_option,
        click.option("--recipe", help="Name or TOML file of a recipe.  [default: by data set]"),
        set_option,
        out_option("runs/leaks-DATASET"),
        click.option(
            "--test", is_flag=True, help="Measure on the test split in place of validation."
        ),
        jobs_option,
        resource_options(workers=0),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("leaks")
@dataset_argument
@click.option("--train", is_flag=True, help="Also train networks that see a part; needs frames.")
@_leak_options
def leaks(dataset: str, train: bool, **options: Any) -> None:
    """Say how much of DATASET's labels can be told without seeing what they are about.

    From label tables and shards, in minutes and without training: the majority, which classes are
    seen and how many, where boxes are, one frame, frames without their order; and what this means
    for a claim that objects matter. With --train also networks that see classes alone, shapes
    alone, one frame, shuffled frames; interrupted, it goes on where it was. The report is printed
    and kept as OUT/leaks-SPLIT.json and .md.
    """
    _say_leaks(dataset, untrained=not train, **options)


@click.command("leaks")
@click.argument("dataset", type=click.Choice(["demo", "demo-touch", "demo-places"]))
@click.option("--untrained", is_flag=True, help="Only what needs no training.")
@_leak_options
def demo_leaks(dataset: str, untrained: bool, **options: Any) -> None:
    """Say how much of DATASET's labels can be told without seeing what they are about.

    This is `orn leaks DATASET --train`. On worlds of the demo both add what only the ground truth
    tells: the presence of classes, hidden ones too, and an oracle, which has to be right always.
    """
    _say_leaks(dataset, untrained=untrained, **options)


def _say_leaks(
    dataset: str,
    *,
    untrained: bool,
    num_seeds: int,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    from demo.experiments.leaks import leak_report
    from shared.manifests.load import load_manifest
    from stage2_train.ablation.plan import AblationRequest
    from stage2_train.leaks.words import leak_text

    request = AblationRequest(
        manifest=dataset,
        table="leaks",
        seeds=tuple(range(num_seeds)),
        out=out or Path("runs") / f"leaks-{load_manifest(dataset).name}",
        **options,
    )
    report = leak_report(request, untrained=untrained)
    echo_report(report, leak_text, as_json=as_json)


@click.command("tables")
@click.argument("dataset", type=click.Choice(["demo", "demo-touch", "demo-places"]))
@click.option("--short", "size", flag_value="short", help="A few films and steps: shows it works.")
@click.option(
    "--experiments",
    help=f"What to measure, some of: {', '.join(_EXPERIMENTS)}.  [default: the main claims]",
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
    from demo.experiments.tables import TablesRequest, describe_tables, run_tables

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
        for step in () if as_json else described["steps"]:
            click.echo(f"{'done' if step['done'] else 'to do'}: {step['title']}")
        return
    reports = run_tables(request)
    if as_json:
        echo_json({"reports": [str(path) for path in reports]})
    for path in () if as_json else reports:
        click.echo(f"{path}\n\n{path.read_text(encoding='utf-8')}")
