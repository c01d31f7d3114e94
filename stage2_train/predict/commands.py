"""`orn export`: parse, call the job, print what came out."""

from pathlib import Path

import click

from shared.cli_options import echo_json, json_option

__all__ = ["export"]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--with-detector", is_flag=True, help="Take the detector's weights along, as detector.pth."
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of these weights.  [default: those of the project]",
)
@json_option
def export(
    run: Path, out: Path, with_detector: bool, checkpoint: Path | None, as_json: bool
) -> None:
    """Write the network of RUN to the folder OUT, which lives without the run and its data.

    OUT gets weights as safetensors, a configuration, and a README.md that says what it is; `orn
    predict` and `orn eval` take it where they take a run.
    """
    from shared.jobs.termination import terminated_as_interrupted
    from stage2_train.predict.export import export_run

    if checkpoint is not None and not with_detector:
        raise click.UsageError("--checkpoint names the detector's weights; add --with-detector")
    with terminated_as_interrupted():
        names = export_run(run, out, with_detector=with_detector, checkpoint=checkpoint)
    if as_json:
        echo_json({"folder": str(out), "files": list(names)})
    else:
        click.echo(f"{out}: {', '.join(names)}", err=True)
