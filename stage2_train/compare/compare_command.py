"""The command `orn compare`."""

from orn.shared.common_options import AsJson
from orn.shared.echo import echo_report
from orn.shared.options import command
from orn.stage2_train.compare.compare_request import CompareRequest


@command("compare")
def compare(request: CompareRequest, *, as_json: AsJson = False) -> None:
    """Compare two runs on the same segments: by how much and where OTHER is better than ONE.

    First evaluate both runs with `orn eval`, which stores their predictions.
    """
    from orn.stage2_train.compare import compare as comparison

    echo_report(comparison.compare(request), comparison.as_report, as_json=as_json)
