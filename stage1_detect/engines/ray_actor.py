"""The work of one actor of a Ray cluster: a detector of its own, one unit at a time."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.manifests.records import Video
from shared.shards.plan import Unit
from shared.shards.schema import DetectorEntry
from stage1_detect.detector import Detector
from stage1_detect.frame_source import FrameSource
from stage1_detect.pipeline import UnitResult, detect_unit

__all__ = ["ActorReady", "DetectActor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorReady:
    """What an actor says when its detector is loaded."""

    host: str
    """Name of its machine."""
    entry: DetectorEntry
    """What its shards record about the detector."""


class DetectActor:
    """Detects units into the folder of the job, which all machines see."""

    def __init__(self, *, device: str, videos: Mapping[str, Video], batch: int) -> None:
        """Loads nothing yet, so that an error of `load` comes back as it is."""
        self._device = device
        self._videos = videos
        self._batch = batch

    def load(self, load: Callable[[str], Detector]) -> ActorReady:
        """Makes the detector."""
        with contextlib.redirect_stdout(sys.stderr):  # Ray passes both on, stdout is for results
            self._detector = load(self._device)
        self._source = FrameSource(self._videos, batch=self._batch, prepare=self._detector.prepare)
        return ActorReady(host=socket.gethostname(), entry=self._detector.entry)

    def detect(self, unit: Unit, path: Path) -> UnitResult:
        """Writes the shard of a unit."""
        with contextlib.redirect_stdout(sys.stderr):
            return detect_unit(unit, source=self._source, detector=self._detector, path=path)
