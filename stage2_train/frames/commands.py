"""`orn clips`: call the job, print what came out."""

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
        Option("Check the store instead: every picture, every checksum, every source."),
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Decode DATASET's videos once and store their rescaled frames; without DATASET, those of the
    data set whose objects were completed last.

    Interrupted, it goes on where it was; run again, it adds what is new or has changed. --dry-run
    estimates the size. Ends with 3 if some videos could not be decoded, with 1 if --verify finds
    anything wrong.
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
