"""The digest of the inputs of an evaluation, to decide whether its results are up to date."""

from collections.abc import Sequence
from pathlib import Path

from orn.shared.data_files import file_digest, text_digest
from orn.stage2_train.runs.open_data import data_digests
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import BEST_NAME
from orn.stage2_train.runs.trained import sources_of_run
from orn.stage2_train.settings.resources import Resources


def inputs_digest(run: Path, splits: Sequence[str], *, partial: bool) -> str:
    """Return the digest, `sha256:...`, of the segments in splits with their labels, their objects
    and stored frames, and the best weights.

    Args:
        run: run folder.
        splits: the evaluated split, and others that are read.
        partial: whether segments of missing videos are omitted.

    Raises:
        PipelineError: if the run cannot be evaluated on the splits.
    """
    config = read_config(run)
    sources = sources_of_run(run, config, Resources(partial=partial))
    segments = [sources.join(split, config.recipe).segments for split in splits]
    video_ids = [segment.video_id for of_split in segments for segment in of_split]
    data = data_digests(sources.clips, sources.detections, video_ids)
    inputs = (segments, data, file_digest(run / BEST_NAME))
    return text_digest(repr(inputs))
