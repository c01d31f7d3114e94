"""The command `orn import-objects`."""

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_result
from orn.shared.jobs.progress import TERMINAL
from orn.shared.options import command
from orn.shared.text_summary import summary_of
from orn.stage1_detect.imports.import_request import ImportRequest


@command("import-objects", imports=("orn.stage1_detect.imports.import_objects",))
def import_objects(
    request: ImportRequest, *, dry_run: DryRun = False, as_json: AsJson = False
) -> int:
    """Convert existing detections for DATASET to shards, instead of running `orn detect`.

    SOURCE is a folder, or a file for coco, something-else and csv. Nothing in it is executed. An
    interrupted import resumes where it stopped, and new videos are added. Exits with 3 if a video
    could not be imported.
    """
    from orn.stage1_detect.imports import import_objects as job

    if dry_run:
        echo_result(job.describe_import(request), summary_of, as_json=as_json)
        return 0
    done = job.import_objects(request, TERMINAL)
    echo_result(done.as_json(), lambda _: done.summary(), as_json=as_json)
    return done.exit_code
