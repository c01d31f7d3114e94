"""Which segments of a split can be used: their video is in the clip store and in the shards.

Nothing is left out silently: a video that could not be decoded is skipped and counted, anything
else that is absent is an error, unless the caller says that part of the data is enough.
"""

import dataclasses
import logging
from collections import Counter
from dataclasses import dataclass

import numpy as np

from shared.errors import ConfigError, JoinError
from shared.manifests.records import Dataset, Segment
from shared.shards.reader import DetectionFolder
from shared.shards.schema import UNKNOWN_SOURCE
from stage2_train.frames.source import FrameSource

__all__ = ["JoinedSplit", "SkippedSegment", "join_split"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedSegment:
    """A segment of the split that cannot be used."""

    id: str
    """Id of the segment."""
    reason: str
    """Why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedSplit:
    """The usable segments of one split."""

    split: str
    """Name of the split."""
    segments: tuple[Segment, ...]
    """In the order of the label table."""
    skipped: tuple[SkippedSegment, ...]
    """The others."""

    def require_segments(self, dataset_name: str) -> None:
        """Raises JoinError if no segment is left, saying why the first one was skipped."""
        if self.segments:
            return
        why = f"; the first was skipped because: {self.skipped[0].reason}" if self.skipped else ""
        raise JoinError(
            f"{dataset_name}, {self.split}: wanted at least one usable segment, found none of "
            f"{len(self.skipped)}{why}"
        )

    def at_most(self, number: int | None) -> "JoinedSplit":
        """The same with so many segments, drawn once and for all, so that the fewer are among the
        more; all of them for None.

        Raises:
            ConfigError: if there are not so many.
        """
        if number is None:
            return self
        if number > len(self.segments):
            raise ConfigError(
                f"data.train_segments: wanted at most the {len(self.segments)} usable segments of "
                f"the split {self.split}, found {number}"
            )
        order = np.random.default_rng(0).permutation(len(self.segments))
        chosen = sorted(order[:number].tolist())
        return dataclasses.replace(self, segments=tuple(self.segments[row] for row in chosen))


@dataclass(frozen=True, slots=True, kw_only=True)
class _VideoState:
    """Why a video cannot be used, if it cannot."""

    reason: str | None = None
    hint: str | None = None
    """What to do where the video is only absent; None where it failed."""


def join_split(
    dataset: Dataset,
    split: str,
    clips: FrameSource,
    detections: DetectionFolder,
    *,
    partial: bool = False,
) -> JoinedSplit:
    """The segments of a split whose frames and detections are both there.

    Args:
        dataset: the data set.
        split: name of the split.
        clips: frames.
        detections: shards.
        partial: whether to skip segments whose video is absent from either, instead of refusing.

    Raises:
        JoinError: if a video is absent and `partial` is off, or if frames and detections of a
            video come from different files.
    """
    wanted = [segment for segment in dataset.segments if segment.split == split]
    states: dict[str, _VideoState] = {}
    usable, skipped, absent = [], [], []
    for segment in wanted:
        state = states.get(segment.video_id)
        if state is None:
            state = _video_state(segment.video_id, clips, detections)
            states[segment.video_id] = state
        if state.reason is None and not _is_covered(segment, clips):
            state = _VideoState(
                reason=f"its time range is not in {clips.name}", hint="run `orn clips`"
            )
        reason = state.reason or _segment_problem(segment, dataset, clips)
        if reason is None:
            usable.append(segment)
            continue
        skipped.append(SkippedSegment(id=segment.id, reason=reason))
        if state.hint is not None:
            absent.append((segment, state))
    if absent and not partial:
        segment, state = absent[0]
        raise JoinError(
            f"{dataset.name}, {split}: {len(absent)} of {len(wanted)} segments cannot be used, "
            f"the first is {segment.id}: {state.reason}; {state.hint}, or pass --partial to use "
            "what is there"
        )
    for reason, number in Counter(row.reason for row in skipped).items():
        logger.warning("%s, %s: %d segments skipped: %s", dataset.name, split, number, reason)
    return JoinedSplit(split=split, segments=tuple(usable), skipped=tuple(skipped))


def _is_covered(segment: Segment, clips: FrameSource) -> bool:
    return clips.frames(segment.video_id).covers(segment.start_seconds, segment.stop_seconds)


def _segment_problem(segment: Segment, dataset: Dataset, clips: FrameSource) -> str | None:
    if dataset.task == "single-label" and len(segment.labels) != 1:
        return "it has no label"
    frames = clips.frames(segment.video_id)
    is_empty = frames.is_empty(segment.start_seconds, segment.stop_seconds)
    return "its time range holds no frame of the video" if is_empty else None


def _video_state(video_id: str, clips: FrameSource, detections: DetectionFolder) -> _VideoState:
    if video_id not in clips:
        if any(failed.id == video_id for failed in clips.failed):
            return _VideoState(reason="its video could not be decoded for the clip store")
        return _VideoState(reason=f"its video is not in {clips.name}", hint="run `orn clips`")
    if video_id not in detections:
        if any(failed.id == video_id for failed in detections.failed):
            return _VideoState(reason="its video could not be decoded for the shards")
        return _VideoState(
            reason=f"its video is not in the shards {detections.path}", hint="run `orn detect`"
        )
    detected = detections.entry(video_id)
    stored = clips.frames(video_id)
    if detected.source_digest == UNKNOWN_SOURCE:
        raise JoinError(
            f"video {video_id}: its masks in {detections.path} were imported while the video was "
            f"not there, so it cannot be told whether they belong to the one in {clips.name}; run "
            "`orn import-masks` again with --fresh"
        )
    if stored.source_digest != detected.source_digest:
        raise JoinError(
            f"video {video_id}: {clips.name} has {stored.source_digest}, the shards "
            f"{detections.path} are from {detected.source_digest}; the video has changed, "
            "run the older of `orn clips` and `orn detect` again with --fresh"
        )
    return _VideoState()
