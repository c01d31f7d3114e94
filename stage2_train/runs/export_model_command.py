"""The command `orn export`."""

from typing import Annotated, Self

from pydantic import model_validator

from orn.shared.common_options import AsJson, FilePath
from orn.shared.echo import echo, echo_json
from orn.shared.options import Argument, Option, Request, command
from orn.shared.text import counted
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
    resnet: Annotated[
        bool,
        Option(
            "Write only the ResNet to the file OUT, with torchvision's names, for --weights of "
            "other training runs. RUN must have only 2D kernels, such as --system r18."
        ),
    ] = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.checkpoint is not None and not self.with_detector:
            raise ValueError("--checkpoint requires --with-detector")
        if self.resnet and self.with_detector:
            raise ValueError("--resnet excludes --with-detector; omit one of them")
        return self


@command("export")
def export(request: ExportRequest, *, as_json: AsJson = False) -> None:
    """Export the network of RUN to the folder OUT, which can be used without the run and its data.

    OUT contains the weights as safetensors, a configuration and a model card (README.md). Pass OUT,
    or hf://ORG/NAME for a model on the Hugging Face Hub, to `orn predict` and `orn eval` in place
    of a run.
    """
    from orn.shared.jobs.outputs import check_output_files
    from orn.shared.jobs.workers import terminated_as_interrupted
    from orn.shared.torch_files import write_torch_file
    from orn.stage2_train.model.image_weights import export_resnet
    from orn.stage2_train.runs.export_model import export_run
    from orn.stage2_train.runs.run_folder import files_of_run
    from orn.stage2_train.runs.trained import open_model

    run, out = request.run, request.out
    if request.resnet:
        check_output_files([out], reads=files_of_run(run))
        weights = export_resnet(open_model(run, device="cpu").network)
        write_torch_file(out, weights)
        echo(f"{out}: {counted(len(weights), 'tensor')}", err=True)
        if as_json:
            echo_json({"file": str(out), "tensors": len(weights)})
        return
    with terminated_as_interrupted():
        names = export_run(
            run, out, with_detector=request.with_detector, checkpoint=request.checkpoint
        )
    if as_json:
        echo_json({"folder": str(out), "files": list(names)})
    else:
        echo(f"{out}: {', '.join(names)}", err=True)
