"""The result of predicting several videos, and the errors that fail one of them."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orn.data_manifests.records import Video
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
from orn.shared.escaped_text import json_text
from orn.shared.jobs.plan import FailedVideo
from orn.shared.text import counted

logger = logging.getLogger(__name__)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Collects the videos that fail, so that the others are predicted."""

    add: Callable[[FailedVideo], None]
    """Called with each of them."""
    videos: list[FailedVideo] = field(default_factory=list)

    @contextmanager
    def of(self, video: Video, output: Path | None = None) -> Iterator[None]:
        """Collect an error of a video in place of raising it.

        Args:
            video: the video.
            output: the only file that is missing after an error; None if the prediction failed.
        """
        try:
            yield
        except VIDEO_ERRORS as err:
            reason = err.reason if err.where == str(video.path) else str(err)
            if output is not None:
                reason = f"{output} was not written: {reason}"
            logger.warning("video %s failed: %s", video.id, reason)
            self.videos.append(FailedVideo(id=video.id, reason=reason))
            self.add(self.videos[-1])


def failed_text(failed: FailedVideo) -> str:
    """Return a failed video as a line of JSON."""
    return json_text({"kind": "failed", "video": failed.id, "reason": failed.reason})
