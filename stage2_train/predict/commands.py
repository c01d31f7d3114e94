"""`orn export`: parse, call the job, print what came out."""

from pathlib import Path

import click

from orn.shared.cli_options import NonEmptyPath, echo, echo_json, json_option


@click.command()
@click.argument("run", type=NonEmptyPath())
@click.argument("out", type=NonEmptyPath())
@click.option(
    "--with-detector", is_flag=True, help="Take the detector's weights along, as detector.pth."
)
@click.option(
    "--checkpoint",
    type=NonEmptyPath(dir_okay=False),
    help="File of these weights.  [default: those of the project]",
)
@click.option("--push", metavar="ORG/NAME", help="Also upload OUT to the Hugging Face Hub.")
@click.option("--private", is_flag=True, help="Make what --push makes private.")
@json_option
def export(
    run: Path,
    out: Path,
    with_detector: bool,
    checkpoint: Path | None,
    push: str | None,
    private: bool,
    as_json: bool,
) -> None:
    """Write the network of RUN to the folder OUT, which lives without the run and its data.

    OUT gets weights as safetensors, a configuration, and a README.md that says what it is; `orn
    predict` and `orn eval` take it where they take a run. What is uploaded has a name that they
    take anywhere, hf://ORG/NAME.
    """
    from orn.shared.jobs.termination import terminated_as_interrupted
    from orn.stage2_train.predict.export import export_run
    from orn.stage2_train.runs.hub import check_hub_name, push_folder

    if checkpoint is not None and not with_detector:
        raise click.UsageError("--checkpoint names the detector's weights; add --with-detector")
    if private and push is None:
        raise click.UsageError("--private is of what is uploaded; add --push ORG/NAME")
    if push is not None:
        check_hub_name(push)
    url = None
    with terminated_as_interrupted():
        names = export_run(run, out, with_detector=with_detector, checkpoint=checkpoint)
        if push is not None:
            url = push_folder(out, push, names, private=private)
    if as_json:
        echo_json({"folder": str(out), "files": list(names)} | ({"url": url} if url else {}))
    else:
        echo(f"{out}: {', '.join(names)}{f'; {url}' if url else ''}", err=True)
