"""The command `orn clips`."""

from typing import Annotated

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_report
from orn.shared.options import Option, command
from orn.shared.report import report_of
from orn.stage2_train.frames.request import ClipsRequest
from orn.stage2_train.newest_data import NEWEST, newest_data

SOME_FAILED_EXIT_CODE = 3


@command("clips")
def clips(
    request: ClipsRequest,
    *,
    verify: Annotated[
        bool,
        Option("Verify the store instead: every frame, checksum and source."),
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Decode the videos of DATASET once and store their rescaled frames; without DATASET, use the
    data set whose detection finished last.

    Rerun the command to resume an interrupted job or to add new and changed videos. --dry-run
    estimates the size. The exit code is 3 if some videos could not be decoded, and 1 if --verify
    reports problems.
    """
    from orn.stage2_train.frames.make_clips import describe_clips, make_clips, verify_clips

    if request.manifest == NEWEST:
        data = newest_data(request.data_root)
        request = request.changed(
            manifest=data.manifest, data_root=data.data_root, out=request.out or data.clips
        )
    job = verify_clips if verify else describe_clips if dry_run else make_clips
    result = job(request)
    echo_report(result, report_of, as_json=as_json)
    if verify:
        return 0 if result["ok"] else 1
    return SOME_FAILED_EXIT_CODE if result.get("failed") else 0
