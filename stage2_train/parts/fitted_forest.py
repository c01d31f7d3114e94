"""The forest of a model: fitted on statistics of the objects and the motion of training clips, and
stored as arrays beside the weights of the network.

M clips, S statistics, A activity classes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from orn.data_manifests.records import Segment
from orn.shared.config.fields import STRICT
from orn.shared.errors import CheckpointError
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.text import path_text
from orn.stage2_train.clip_store.decoded import DatasetFrames
from orn.stage2_train.model.tensor_files import read_tensors, write_tensors
from orn.stage2_train.parts import FOREST_NAME
from orn.stage2_train.parts.clip_statistics import (
    most_frequent_classes,
    motion_statistics,
    object_statistics,
    read_motion,
    read_objects,
)
from orn.stage2_train.parts.forest import Forest, fit_forest
from orn.stage2_train.settings.recipe import DataRecipe

_REMEDY = "restore the files of the run, or train it again"
_TREES = 500
_LEAST = 1e-6
"""Least probability, since trees may agree on 0 or 1."""
_Number = Annotated[int, Field(ge=1)]


@checked_dataclass(frozen=True, kw_only=True, config=STRICT)
class ForestInputs:
    """The statistics that a forest reads."""

    num_object_classes: _Number
    """Number of the detector's classes."""
    followed: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    """Classes whose largest object is followed over time."""
    score_threshold: Annotated[float, Field(ge=0, le=1)]
    """Least score of an object."""
    num_frames: _Number
    """Number of frames of a clip whose motion is read."""
    reads_motion: bool

    def of_segment(
        self, segment: Segment, detections: DetectionFolder, frames: DatasetFrames
    ) -> NDArray[np.float64]:
        """Return the (S,) statistics of a segment.

        Raises:
            PipelineError: if its objects or its motion cannot be read.
        """
        objects = read_objects(detections, segment, score_threshold=self.score_threshold)
        of_objects_S = object_statistics(
            objects, num_classes=self.num_object_classes, chosen=self.followed
        )
        if not self.reads_motion:
            return of_objects_S
        motion = read_motion(frames, segment, num_frames=self.num_frames)
        return np.concatenate([of_objects_S, motion_statistics(motion)])


_INPUTS = TypeAdapter(ForestInputs)


def inputs_of(
    segments: Sequence[Segment],
    detections: DetectionFolder,
    data: DataRecipe,
    *,
    reads_motion: bool,
) -> ForestInputs:
    """Return what a forest of training segments reads: the objects of the classes that are most
    frequent in them are followed."""
    number = len(detections.detector.class_names)
    threshold = data.score_threshold
    objects = (read_objects(detections, own, score_threshold=threshold) for own in segments)
    return ForestInputs(
        num_object_classes=number,
        followed=most_frequent_classes(objects, number),
        score_threshold=threshold,
        num_frames=data.clip_frames,
        reads_motion=reads_motion,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedForest:
    """A forest, and what it reads."""

    forest: Forest
    inputs: ForestInputs
    num_statistics: int
    """S."""
    is_multi_label: bool

    @classmethod
    def fit(
        cls,
        inputs: ForestInputs,
        statistics_MS: NDArray[np.float64],
        labels: NDArray[np.int64] | NDArray[np.float32],
        num_classes: int,
        *,
        seed: int,
        jobs: int,
    ) -> "FittedForest":
        """Return a forest fitted on the statistics of training clips; see `fit_forest`."""
        forest = fit_forest(statistics_MS, labels, num_classes, trees=_TREES, seed=seed, jobs=jobs)
        return cls(
            forest=forest,
            inputs=inputs,
            num_statistics=statistics_MS.shape[1],
            is_multi_label=labels.ndim == 2,
        )

    def of_segments(
        self, segments: Sequence[Segment], detections: DetectionFolder, frames: DatasetFrames
    ) -> NDArray[np.float32]:
        """Return the (M, A) logits of segments; see `logits`."""
        rows = [self.inputs.of_segment(segment, detections, frames) for segment in segments]
        return self.logits(np.stack(rows))

    def logits(self, statistics_MS: NDArray[np.float64]) -> NDArray[np.float32]:
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
        about = {
            "inputs": json.dumps(_INPUTS.dump_python(self.inputs, mode="json")),
            "num_classes": str(self.forest.num_classes),
            "num_statistics": str(self.num_statistics),
            "task": "multi-label" if self.is_multi_label else "single-label",
            "config": config,
        }
        write_tensors(run / FOREST_NAME, tensors, about)


def read_forest(run: Path, *, config: str) -> FittedForest | None:
    """Return the forest of a run; None if it has none.

    Args:
        run: run folder or exported run.
        config: digest of the run's configuration.

    Raises:
        CheckpointError: if the file is damaged, or belongs to another run.
    """
    path = run / FOREST_NAME
    if not path.exists():
        return None
    tensors, about = read_tensors(path, what="the forest of a run", remedy=_REMEDY)
    try:
        if about["config"] != config:
            raise ValueError("a different configuration")
        number = int(about["num_statistics"])
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        forest = Forest.of_arrays(
            arrays, num_classes=int(about["num_classes"]), num_statistics=number
        )
        return FittedForest(
            forest=forest,
            inputs=_INPUTS.validate_json(about["inputs"]),
            num_statistics=number,
            is_multi_label=about["task"] == "multi-label",
        )
    except (ValueError, KeyError, TypeError, ValidationError) as err:
        raise CheckpointError(
            f"{path_text(path)}: expected the forest of this run, got a different file; {_REMEDY}"
        ) from err


def logits_of_shares(share_MA: NDArray[np.float64], *, multi_label: bool) -> NDArray[np.float32]:
    """Return (M, A) float32 logarithms of shares, or their log-odds for multiple labels."""
    if multi_label:
        share_MA = np.clip(share_MA, _LEAST, 1 - _LEAST)
        return np.log(share_MA / (1 - share_MA)).astype(np.float32)
    return np.log(np.clip(share_MA, _LEAST, 1)).astype(np.float32)
