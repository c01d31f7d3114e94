"""The forest of a model: fitted on statistics of the objects and the motion of training clips, and
stored as arrays beside the weights of the network.

M clips, S statistics, A activity classes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter
from torch import Tensor

from orn.data_manifests.records import Segment
from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.clip_store.frames_on_demand import DatasetFrames
from orn.stage2_train.clips.windows import duration_of
from orn.stage2_train.intervals import film_objects
from orn.stage2_train.intervals.film_objects import FilmStatistics, rows_by_video
from orn.stage2_train.model.tensor_files import read_part, write_tensors
from orn.stage2_train.parts import FOREST_NAME
from orn.stage2_train.parts.clip_statistics import (
    MOST_FOLLOWED,
    most_frequent_classes,
    motion_statistics,
    num_motion_statistics,
    num_object_statistics,
    object_statistics,
    read_motion,
    read_objects,
)
from orn.stage2_train.parts.forest import Forest, fit_forest
from orn.stage2_train.settings.recipe import DataRecipe

_TREES = 500
_MOST_WINDOWS = 50_000
"""Windows of long videos that a forest is fitted to, at most."""
_LEAST = 1e-6
"""Least probability, since trees may agree on 0 or 1."""
_FOLLOWED = TypeAdapter(
    Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(min_length=1, max_length=film_objects.MOST_FOLLOWED),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestInputs:
    """The statistics that a forest reads."""

    num_object_classes: int
    """Number of the detector's classes."""
    followed: tuple[int, ...]
    """Classes whose largest object is followed over time, the most frequent one first."""
    score_threshold: float
    """Least score of an object, 0..1."""
    num_frames: int
    """Number of frames of a clip whose motion is read."""
    reads_motion: bool

    @property
    def num_statistics(self) -> int:
        """S."""
        motion = num_motion_statistics() if self.reads_motion else 0
        return num_object_statistics(self.num_object_classes, len(self.followed)) + motion

    def of_segments(
        self, segments: Sequence[Segment], detections: DetectionFolder, frames: DatasetFrames
    ) -> NDArray[np.float64]:
        """Return the (M, S) statistics of segments.

        Raises:
            PipelineError: if their objects or their motion cannot be read.
        """
        return np.stack([self._of_segment(own, detections, frames) for own in segments])

    def _of_segment(
        self, segment: Segment, detections: DetectionFolder, frames: DatasetFrames
    ) -> NDArray[np.float64]:
        objects = read_objects(detections, segment, score_threshold=self.score_threshold)
        of_objects_S = object_statistics(
            objects, num_classes=self.num_object_classes, chosen=self.followed
        )
        if not self.reads_motion:
            return of_objects_S
        motion = read_motion(frames, segment, num_frames=self.num_frames)
        return np.concatenate([of_objects_S, motion_statistics(motion)])


def inputs_of(
    segments: Sequence[Segment],
    detections: DetectionFolder,
    data: DataRecipe,
    *,
    reads_motion: bool,
    rate: float | None,
) -> ForestInputs | FilmStatistics:
    """Return what a forest of training segments reads: the objects of the classes that are most
    frequent in them are followed.

    Args:
        segments: the segments; of long videos, their windows.
        detections: shards with their objects.
        data: settings for clips.
        reads_motion: whether a forest of clips reads motion.
        rate: described times per second of long videos; None for clips.
    """
    number = len(detections.detector.class_names)
    threshold = data.score_threshold
    if rate is not None:
        films = [detections.video(video) for video in rows_by_video(segments)]
        return FilmStatistics(
            num_object_classes=number,
            followed=film_objects.most_frequent_classes(films, number, score_threshold=threshold),
            score_threshold=threshold,
            rate=rate,
            window_seconds=duration_of(segments[0]),
        )
    objects = (read_objects(detections, own, score_threshold=threshold) for own in segments)
    return ForestInputs(
        num_object_classes=number,
        followed=most_frequent_classes(objects, number),
        score_threshold=threshold,
        num_frames=data.clip_frames,
        reads_motion=reads_motion,
    )


def fitted_windows(windows: Sequence[Segment]) -> list[Segment]:
    """Return the windows of long videos that a forest is fitted to: every second one, or fewer at
    equal distances if these are more than 50,000; neighbors are nearly alike."""
    return list(windows[:: max(-(-len(windows) // _MOST_WINDOWS), 2)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedForest:
    """A forest, and what it reads."""

    forest: Forest
    inputs: ForestInputs | FilmStatistics
    is_multi_label: bool

    @classmethod
    def fit(
        cls,
        inputs: ForestInputs | FilmStatistics,
        statistics_MS: NDArray[np.floating],
        labels: NDArray[np.int64] | NDArray[np.float32],
        num_classes: int,
        *,
        seed: int,
        jobs: int,
    ) -> "FittedForest":
        """Return a forest fitted on the statistics of training clips; see `fit_forest`."""
        forest = fit_forest(statistics_MS, labels, num_classes, trees=_TREES, seed=seed, jobs=jobs)
        return cls(forest=forest, inputs=inputs, is_multi_label=labels.ndim == 2)

    def of_segments(
        self, segments: Sequence[Segment], detections: DetectionFolder, frames: DatasetFrames
    ) -> NDArray[np.float32]:
        """Return the (M, A) logits of segments; see `logits`."""
        return self.logits(self.inputs.of_segments(segments, detections, frames))

    def logits(self, statistics_MS: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return (M, A) float32 logarithms of probabilities, or log-odds for multiple labels."""
        return logits_of_shares(
            self.forest.probabilities(statistics_MS), multi_label=self.is_multi_label
        )

    def write(self, run: Path, *, config: str) -> None:
        """Write the forest to a run folder.

        Args:
            run: the folder.
            config: digest of the run's configuration.

        Raises:
            PipelineError: if the file cannot be written.
        """
        tensors = {name: torch.from_numpy(own) for name, own in self.forest.arrays().items()}
        about = {"followed": json.dumps(self.inputs.followed), "config": config}
        write_tensors(run / FOREST_NAME, tensors, about)


def read_forest(
    run: Path,
    *,
    config: str,
    reads: ForestInputs | FilmStatistics,
    num_classes: int,
    multi_label: bool,
) -> FittedForest | None:
    """Return the forest of a run; None if it has none.

    Args:
        run: run folder or exported run.
        config: digest of the run's configuration.
        reads: what it reads by this configuration, except the followed classes.
        num_classes: number of activity classes.
        multi_label: whether clips have several labels.

    Raises:
        CheckpointError: if the file is damaged, or belongs to another run.
    """

    def built(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> FittedForest:
        followed = _FOLLOWED.validate_json(about["followed"])
        is_of_clips = isinstance(reads, ForestInputs)
        if max(followed) >= reads.num_object_classes:
            raise ValueError("an unknown class of objects")
        if is_of_clips and len(followed) > MOST_FOLLOWED:
            raise ValueError("too many classes of objects")
        inputs = replace(reads, followed=followed)
        forest = Forest.of_arrays(
            {name: tensor.numpy() for name, tensor in tensors.items()},
            num_classes=num_classes,
            num_statistics=inputs.num_statistics,
            multi_label=multi_label,
        )
        return FittedForest(forest=forest, inputs=inputs, is_multi_label=multi_label)

    return read_part(run / FOREST_NAME, what="the forest", config=config, build=built)


def logits_of_shares(share_MA: NDArray[np.float64], *, multi_label: bool) -> NDArray[np.float32]:
    """Return (M, A) float32 logarithms of shares, or their log-odds for multiple labels."""
    if multi_label:
        share_MA = np.clip(share_MA, _LEAST, 1 - _LEAST)
        return np.log(share_MA / (1 - share_MA)).astype(np.float32)
    return np.log(np.clip(share_MA, _LEAST, 1)).astype(np.float32)
