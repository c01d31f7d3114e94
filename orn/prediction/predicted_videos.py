"""The result of predicting several videos, and the errors that fail one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orn.prediction.film_prediction import FilmPrediction
from orn.prediction.prediction_records import WindowPrediction
from orn.shared.errors import (
    SOME_FAILED,
    CheckpointError,
    DetectorError,
    JoinError,
    ShardFormatError,
    ShardNotFoundError,
    VideoDecodeError,
)
from orn.shared.jobs.plan import FailedVideo
from orn.shared.text import counted

VIDEO_ERRORS = (
    *(VideoDecodeError, DetectorError, JoinError, ShardFormatError, ShardNotFoundError),
    CheckpointError,  # logits are not finite, perhaps for one video only
)
"""Errors that fail a single video but not the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedVideos:
    """Predictions of several videos."""

    windows: Mapping[str, Sequence[WindowPrediction]] = field(default_factory=dict)
    """Windows by video in order, without objects and pairs, of a model of clips."""
    films: Mapping[str, FilmPrediction] = field(default_factory=dict)
    """Intervals by video, of a model of intervals."""
    failed: Sequence[FailedVideo]
    num_videos: int

    @property
    def exit_code(self) -> int:
        """3 if some videos failed, else 0."""
        return SOME_FAILED if self.failed else 0

    def summary(self) -> str:
        """Return the videos that failed; empty if there are none."""
        lines = [f"  {video.id}: {video.reason}" for video in self.failed]
        of = f"{len(self.failed):,} of {counted(self.num_videos, 'video')} failed:"
        return "\n".join([of, *lines]) if lines else ""
