"""`orn clips`: call the job, print what came out."""

from typing import Annotated, Any

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_report
from orn.shared.options import Option, command
from orn.shared.report import Report, Table, report_of
from orn.shared.text import counted
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
    if verify:
        return _print_problems(verify_clips(request), as_json=as_json)
    result = describe_clips(request) if dry_run else make_clips(request)
    echo_report(result, report_of, as_json=as_json)
    return SOME_FAILED_EXIT_CODE if result.get("failed") else 0


def _print_problems(result: dict[str, Any], *, as_json: bool) -> int:
    problems = [(each["video"] or "-", each["message"]) for each in result["problems"]]
    found = "ok" if result["ok"] else counted(len(problems), "problem")
    report = Report(
        title=f"{result['path']}: {found}, {counted(result['videos'], 'video')}",
        tables=[Table(header=("video", "problem"), rows=problems)],
    )
    echo_report(result, lambda _: report, as_json=as_json)
    return 0 if result["ok"] else 1
