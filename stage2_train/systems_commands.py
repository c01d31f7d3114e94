"""`orn systems` and `orn model`: what can be trained, and what it is made of."""

from pathlib import Path

import click

from shared.cli_options import echo_json, json_option, set_option

__all__ = ["export", "summary", "system_option", "systems"]

system_option = click.option(
    "--system",
    metavar="NAME",
    help="A system of the paper's tables (`orn systems` lists them), in place of the recipe's.",
)
"""`system`: str | None."""


@click.command()
@click.option("--table", type=click.IntRange(1, 5), help="Only the systems of this table.")
@json_option
def systems(table: int | None, as_json: bool) -> None:
    """List every system of the paper's tables, with what the paper measured.

    Parameters are counted at the sizes of the recipe ablation_resnet18.
    """
    from stage2_train import systems_report

    described = systems_report.describe_systems(table)
    if as_json:
        echo_json({"systems": described})
    else:
        click.echo(systems_report.systems_text(described, table))


@click.command()
@click.option("--recipe", default="paper_resnet50", show_default=True, help="Name or TOML file.")
@system_option
@set_option
@click.option(
    "--num-activities",
    type=click.IntRange(1),
    default=174,
    show_default=True,
    help="Classes of the data set; those of Something-Something by default.",
)
@json_option
def summary(
    recipe: str,
    system: str | None,
    overrides: tuple[str, ...],
    num_activities: int,
    as_json: bool,
) -> None:
    """Print layers, shapes, parameters and multiply-adds of a recipe's network.

    Without data.clip_frames in the recipe, a clip has 8 frames.
    """
    from stage2_train import systems_report
    from stage2_train.training.recipe import load_recipe

    loaded = load_recipe(
        recipe,
        num_activities=num_activities,
        overrides=overrides,
        system=system,
        clip_frames=systems_report.DEFAULT_FRAMES,
    )
    described = systems_report.summarise_model(loaded)
    if as_json:
        echo_json(described)
    else:
        click.echo(systems_report.summary_text(described))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
def export(run: Path, out: Path) -> None:
    """Write the ResNet of RUN to OUT, for --weights of other trainings to start from.

    RUN must have 2D kernels only, as --system r18 has. Names are torchvision's.
    """
    from stage2_train.runs.export_weights import export_weights

    click.echo(f"{out}: {export_weights(run, out)} tensors", err=True)
