"""Whether a run goes on with the data that it began with."""

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from shared.config.bounded import read_json
from shared.errors import PipelineError
from shared.jobs.atomic_file import write_text
from shared.shards.verified import shard_digest
from stage2_train.frames.decoded import DatasetFrames
from stage2_train.frames.reader import ClipStore

logger = logging.getLogger(__name__)

DATA_NAME = "data.json"
_NAMED = 3


def warn_of_other_data(
    run: Path, clips: DatasetFrames, shards: Sequence[Path], *, video_ids: Iterable[str]
) -> None:
    """Notes what a run begins with; when it goes on, warns of what has changed since, by name.

    Args:
        run: the folder.
        clips: frames; those that are decoded while training are not looked at.
        shards: those that have anything to train on.
        video_ids: of what is trained on.

    Raises:
        ShardFormatError: if a shard is no ZIP file.
        PipelineError: if the disk refuses.
    """
    found = {path.name: shard_digest(path) for path in shards}
    if isinstance(clips, ClipStore):
        found["clip store"] = clips.digest(video_ids)
    path = run / DATA_NAME
    if not path.is_file():
        write_text(path, json.dumps(found, indent=1) + "\n")
        return
    try:
        began = read_json(path)
        changed = [name for name in {**began, **found} if began.get(name) != found.get(name)]
    except (PipelineError, TypeError, AttributeError) as err:
        logger.warning("%s: does not say what the run began with (%s)", path, err)
        return
    if changed:
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        logger.warning(
            "%s: goes on with other data than it began with: %s%s changed; bring that back, or "
            "train anew in another --run", run, ", ".join(changed[:_NAMED]), more,
        )  # fmt: skip
