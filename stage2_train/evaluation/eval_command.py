"""The command `orn eval`."""

from orn.shared.common_options import AsJson
from orn.shared.echo import echo_result
from orn.shared.options import command
from orn.stage2_train.evaluation.eval_request import EvalRequest
from orn.stage2_train.settings.resources import wait_passively


@command("eval", imports=("orn.stage2_train.evaluation.evaluate", "scipy.special"))
def evaluate(request: EvalRequest, *, as_json: AsJson = False) -> None:
    """Evaluate the run in the folder RUN on one split; without RUN, evaluate the newest run.

    RUN may also be a folder written by `orn export`, or hf://ORG/NAME; specify its data with
    --data, --shards and --clips.
    """
    wait_passively()
    from orn.stage2_train.evaluation.evaluate import evaluate as measure
    from orn.stage2_train.runs.eval_file import as_summary

    file = measure(request)
    echo_result(file.as_json(), lambda _: as_summary(file), as_json=as_json)
