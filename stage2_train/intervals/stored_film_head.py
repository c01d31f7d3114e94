"""The head over time of a model, and what it reads; stored beside the weights of the network.

N windows, T described times of a film, A labels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter
from torch import Tensor

from orn.data_manifests.records import Segment
from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.clip_store.frames_on_demand import DatasetFrames
from orn.stage2_train.intervals import FILM_HEAD_NAME
from orn.stage2_train.intervals.film_features import FilmInputs
from orn.stage2_train.intervals.film_head import FilmHeads
from orn.stage2_train.intervals.film_objects import (
    MOST_FOLLOWED,
    frames_of_windows,
    rows_by_video,
)
from orn.stage2_train.model.tensor_files import read_part, write_tensors

_FOLLOWED = TypeAdapter(
    Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=MOST_FOLLOWED)]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedFilmHead:
    """A head over time, and what it reads."""

    heads: FilmHeads
    inputs: FilmInputs

    def of_windows(
        self, windows: Sequence[Segment], detections: DetectionFolder, frames: DatasetFrames
    ) -> NDArray[np.float32]:
        """Return the (N, A) logits at the middles of windows; see `FilmHeads.logits`.

        Raises:
            PipelineError: if objects, maps or motion cannot be read.
        """
        logits_NA: NDArray[np.float32] | None = None
        for video_id, rows in rows_by_video(windows).items():
            video = frames.frames(video_id)
            features_TS = self.inputs.of_film(video, detections.video(video_id))
            own_TA = self.heads.logits(features_TS)
            if logits_NA is None:
                logits_NA = np.zeros((len(windows), own_TA.shape[1]), np.float32)
            logits_NA[rows] = own_TA[frames_of_windows([windows[row] for row in rows], video)]
        assert logits_NA is not None, "no windows"
        return logits_NA

    def write(self, run: Path, *, config: str) -> None:
        """Write the head to a run folder.

        Args:
            run: the folder.
            config: digest of the run's configuration.

        Raises:
            PipelineError: if the file cannot be written.
        """
        about = {"followed": json.dumps(self.inputs.followed), "config": config}
        write_tensors(run / FILM_HEAD_NAME, self.heads.state_dict(), about)


def read_film_head(
    run: Path, *, config: str, reads: FilmInputs, num_labels: int, multi_label: bool
) -> FittedFilmHead | None:
    """Return the head over time of a run; None if it has none.

    Args:
        run: run folder or exported run.
        config: digest of the run's configuration.
        reads: what it reads by this configuration, except the followed classes.
        num_labels: A.
        multi_label: whether a time can have several labels.

    Raises:
        CheckpointError: if the file is damaged, or belongs to another run.
    """

    def built(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> FittedFilmHead:
        inputs = replace(reads, followed=_FOLLOWED.validate_json(about["followed"]))
        heads = FilmHeads(inputs.num_features, num_labels, multi_label=multi_label)
        heads.load_state_dict(tensors)
        return FittedFilmHead(heads=heads.eval(), inputs=inputs)

    return read_part(run / FILM_HEAD_NAME, what="the head over time", config=config, build=built)
