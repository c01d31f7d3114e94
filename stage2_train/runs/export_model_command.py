"""The command `orn export`."""

from typing import Annotated

from orn.shared.common_options import AsJson, FilePath
from orn.shared.echo import echo, echo_json
from orn.shared.options import Argument, command
from orn.stage2_train.settings.resources import RunFolder


@command("export")
def export(
    run: RunFolder, out: Annotated[FilePath, Argument("OUT")], *, as_json: AsJson = False
) -> None:
    """Export the network of RUN to the folder OUT, which can be used without the run and its data.

    OUT contains the weights as safetensors, a configuration and a model card (README.md). Pass OUT,
    or hf://ORG/NAME for a model on the Hugging Face Hub, to `orn predict` and `orn eval` in place
    of a run.
    """
    from orn.shared.jobs.workers import terminated_as_interrupted
    from orn.stage2_train.runs.export_model import export_run

    with terminated_as_interrupted():
        names = export_run(run, out)
    if as_json:
        echo_json({"folder": str(out), "files": list(names)})
    else:
        echo(f"{out}: {', '.join(names)}", err=True)
