"""`orn ablate`: parse, call the job, print what came out."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orn.shared.cli_options import (
    NonEmptyPath,
    NumberRange,
    dataset_argument,
    dry_run_option,
    echo_report,
    echo_settings,
    json_option,
    set_option,
)
from orn.stage2_train.resources import resource_options

if TYPE_CHECKING:
    from orn.stage2_train.ablation.plan import Arm, Variation


_path = NonEmptyPath()

seeds_option = click.option(
    "--seeds", "num_seeds", type=click.IntRange(1, 1000), default=5, show_default=True
)
"""`num_seeds`: int."""

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Trainings at the same time; they share the cores.",
)
"""`jobs`: int."""


def _parse_values(
    context: click.Context, option: click.Parameter, text: str | None
) -> "Variation | None":
    if text is None:
        return None
    from orn.stage2_train.ablation.plan import Variation

    key, _, values = text.partition("=")
    tried = tuple(value.strip() for value in values.split(","))
    if not key or len(tried) < 2 or not all(re.fullmatch(r"[\w.+-]+", value) for value in tried):
        wanted = "KEY=VALUE,VALUE,..., such as optimiser.learning_rate=1e-3,3e-4"
        raise click.BadParameter(f"wanted {wanted}, found {text!r}")
    return Variation.of_setting(key, tried)


def _parse_arms(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> "tuple[Arm, ...]":
    from orn.stage2_train.ablation.plan import Arm

    arms: dict[str, Arm] = {}
    for text in texts:
        found = re.fullmatch(r"([\w.+-]+)(?:@([\w,.-]+))?(?::(.+=.*))?", text)
        if found is None or found[1] in arms:
            wanted = "NAME[@SYSTEM,...][:KEY=VALUE,KEY=VALUE,...], each name once"
            raise click.BadParameter(f"wanted {wanted}, found {text!r}")
        name, systems, settings = found.groups()
        arms[name] = Arm(
            name=name,
            settings=tuple(re.split(r",(?=[\w.]+=)", settings)) if settings else (),
            systems=tuple(systems.split(",")) if systems else (),
        )
    return tuple(arms.values())


def _parse_pairs(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in texts:
        better, _, worse = text.partition(":")
        if not better or not worse or better == worse:
            raise click.BadParameter(f"wanted BETTER:WORSE, found {text!r}")
        pairs.append((better, worse))
    return tuple(pairs)


def _parse_floor(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    if text is not None and text.endswith(".json"):
        from orn.stage2_train.ablation.plan import counts_floor

        return counts_floor(Path(text))
    return None if text is None else NumberRange(0, 100).convert(text, option, context)


def _parse_curve(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[str, str] | None:
    if text is None:
        return None
    name, _, value = text.partition("=")
    if not re.fullmatch(r"[\w. -]+", name, re.ASCII) or not value:
        raise click.BadParameter(f"expected NAME=VALUE, such as objects=9, got {text!r}")
    return name, value


def _parse_points(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, Path]:
    points = {}
    for text in texts:
        value, _, path = text.partition("=")
        if not value or not path or value in points:
            raise click.BadParameter(f"expected VALUE=REPORT.json, each value once, got {text!r}")
        points[value] = Path(path)
    return points


@click.command()
@dataset_argument
@click.option(
    "--table",
    type=click.Choice(["2", "5", "baselines", "controls"]),
    required=True,
    help="Table of the paper.",
)
@click.option("--systems", help="Only these of its rows, separated by commas.")
@seeds_option
@click.option("--recipe", help="Name or TOML file of a recipe.  [default: by data set]")
@set_option
@click.option(
    "--search",
    callback=_parse_values,
    metavar="KEY=V1,V2,...",
    help="Choose this setting for each system by the validation split, with the first seed.",
)
@click.option(
    "--vary",
    callback=_parse_values,
    metavar="KEY=V1,V2,...",
    help="Train every system with each of these values, and report the metric against them.",
)
@click.option(
    "--arm",
    "arms",
    callback=_parse_arms,
    multiple=True,
    metavar="NAME[@SYSTEM,...][:KEY=V,...]",
    help="Train all systems, or these, with these settings; may be repeated. The first arm is what "
    "the others are compared with.",
)
@click.option(
    "--primary",
    callback=_parse_pairs,
    multiple=True,
    metavar="BETTER:WORSE",
    help="Systems, or SYSTEM@ARM, that the comparison is made for; may be repeated. The others are "
    "called exploratory.",
)
@click.option(
    "--floor",
    callback=_parse_floor,
    metavar="PERCENT|REPORT.json",
    help="Percent that needs no look at what labels are about, or the report of `orn leaks`, whose "
    "class-counts are it.  [default: chance]",
)
@click.option(
    "--late-fusion",
    is_flag=True,
    help="Compare activity-head and object-head, trained apart, with their logits averaged, too.",
)
@click.option(
    "--curve",
    callback=_parse_curve,
    metavar="NAME=VALUE",
    help="What differs from the ablations of --point, and its value here, such as objects=9; the "
    "report of all of them is kept as OUT/curve-NAME-SPLIT, too.",
)
@click.option(
    "--point",
    "points",
    callback=_parse_points,
    multiple=True,
    metavar="VALUE=REPORT.json",
    help="The report of another ablation for the curve; may be repeated.",
)
@click.option("--over-seconds", is_flag=True, help="Draw curves against seconds of training.")
@click.option("--out", type=_path, help="Folder of the runs.  [default: runs/ablate-DATASET]")
@click.option(
    "--name", help="Of the report, to keep it beside others of OUT.  [default: table-TABLE]"
)
@click.option("--weights", type=_path, help="Weights of a torchvision ResNet to start from.")
@click.option("--test", is_flag=True, help="When all is trained, read the test split, once.")
@jobs_option
@resource_options(workers=0)
@dry_run_option
@json_option
def ablate(
    dataset: str,
    systems: str | None,
    num_seeds: int,
    overrides: tuple[str, ...],
    vary: "Variation | None",
    arms: "tuple[Arm, ...]",
    out: Path | None,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train and measure every system of a table of the paper on DATASET, and compare them.

    All have the same recipe and the same number of steps. Interrupted, it goes on where it was. The
    report is printed and kept as OUT/table-TABLE-SPLIT.json and .md, drawn as .png, and a line a
    figure as .csv; with --vary its name is OUT/table-TABLE-KEY-SPLIT, with --arm
    OUT/table-TABLE-arm-SPLIT.
    """
    from orn.stage2_train.ablation.ablate import ablate as run
    from orn.stage2_train.ablation.ablate import describe_ablation
    from orn.stage2_train.ablation.plan import AblationRequest, Variation
    from orn.stage2_train.ablation.report import as_report

    if vary is not None and arms:
        raise click.UsageError("--vary and --arm: wanted one of them, found both")
    request = AblationRequest(
        manifest=dataset,
        systems=tuple(systems.split(",")) if systems else (),
        seeds=tuple(range(num_seeds)),
        overrides=overrides,
        vary=Variation(name="arm", arms=arms) if arms else vary,
        out=out or Path("runs") / f"ablate-{Path(dataset).stem}",
        **options,
    )
    if dry_run:
        echo_settings(describe_ablation(request), as_json=as_json)
        return
    report = run(request)
    echo_report(report, as_report, as_json=as_json)
