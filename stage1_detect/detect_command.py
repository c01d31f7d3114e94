"""The command `orn detect`."""

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_result
from orn.shared.errors import SOME_FAILED
from orn.shared.options import command
from orn.shared.text_summary import summary_of
from orn.stage1_detect.detect_request import DetectRequest


@command("detect")
def detect(request: DetectRequest, *, dry_run: DryRun = False, as_json: AsJson = False) -> int:
    """Detect objects in every frame of DATASET and write them to shards.

    An interrupted job resumes where it stopped. Exits with 3 if a video could not be decoded.
    """
    from orn.shared.jobs.run_units import as_summary
    from orn.stage1_detect.detect import describe_detection, run_detection

    if dry_run:
        echo_result(describe_detection(request), summary_of, as_json=as_json)
        return 0
    summary = run_detection(request)
    echo_result(summary, as_summary, as_json=as_json)
    return SOME_FAILED if summary["failed"] else 0
