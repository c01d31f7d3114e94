"""The command `orn export`."""

from typing import Annotated, Self

from pydantic import model_validator

from orn.shared.common_options import AsJson, FilePath
from orn.shared.echo import echo, echo_json
from orn.shared.options import Argument, Option, Request, command
from orn.stage2_train.settings.resources import RunFolder


class ExportRequest(Request):
    """The options of `orn export`."""

    run: RunFolder
    out: Annotated[FilePath, Argument("OUT")]
    with_detector: Annotated[
        bool, Option("Include the weights of the detector as detector.pth.")
    ] = False
    checkpoint: Annotated[
        FilePath | None, Option("Weights of the detector.", usual="the weights in the project")
    ] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.checkpoint is not None and not self.with_detector:
            raise ValueError("--checkpoint requires --with-detector")
        return self


@command("export")
def export(request: ExportRequest, *, as_json: AsJson = False) -> None:
    """Export the network of RUN to the folder OUT, which can be used without the run and its data.

    OUT contains the weights as safetensors, a configuration and a model card (README.md). Pass OUT,
    or hf://ORG/NAME for a model on the Hugging Face Hub, to `orn predict` and `orn eval` in place
    of a run.
    """
    from orn.shared.jobs.workers import terminated_as_interrupted
    from orn.stage2_train.runs.export_model import export_run

    run, out = request.run, request.out
    with terminated_as_interrupted():
        names = export_run(
            run, out, with_detector=request.with_detector, checkpoint=request.checkpoint
        )
    if as_json:
        echo_json({"folder": str(out), "files": list(names)})
    else:
        echo(f"{out}: {', '.join(names)}", err=True)
