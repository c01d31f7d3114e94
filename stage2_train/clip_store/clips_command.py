"""The command `orn clips`."""

from orn.shared.common_options import AsJson, DryRun
from orn.shared.echo import echo_result
from orn.shared.jobs.progress import TERMINAL
from orn.shared.options import command
from orn.shared.text_summary import summary_of
from orn.stage2_train.clip_store.clips_request import ClipsRequest
from orn.stage2_train.settings.resources import NEWEST, newest_data


@command("clips", imports=("orn.stage2_train.clip_store.make_clips",))
def clips(
    request: ClipsRequest,
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Decode the videos of DATASET once and store their rescaled frames; without DATASET, use the
    data set whose detection finished last.

    Rerun the command to resume an interrupted job or to add new and changed videos. --dry-run
    estimates the size. The exit code is 3 if some videos could not be decoded.
    """
    from orn.stage2_train.clip_store.make_clips import describe_clips, make_clips

    if request.manifest == NEWEST:
        data = newest_data(request.data_root)
        request = request.changed(
            manifest=data.manifest, data_root=data.data_root, out=request.out or data.clips
        )
    if dry_run:
        echo_result(describe_clips(request), summary_of, as_json=as_json)
        return 0
    done = make_clips(request, TERMINAL)
    echo_result(done.as_json(), lambda _: done.summary(), as_json=as_json)
    return done.exit_code
