"""Detect with a user's function: an object in Python, or `FILE.py:NAME`, whose code is executed.

Whatever such a detector raises or returns for a frame, its video fails with one line, and the job
continues; a detector that ends its process, such as with `sys.exit`, fails the job.
"""

import inspect
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

from orn.data_manifests.records import Video
from orn.shared.config.fields import STRICT, Printable, problems_of
from orn.shared.data_files import file_digest, json_digest, read_bounded
from orn.shared.environment import installed_versions
from orn.shared.errors import DetectorError, PipelineError
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ScoreKind
from orn.shared.shards.shard_format import MOST_CLASSES, UNKNOWN_SOURCE, DetectorEntry
from orn.shared.text import path_text
from orn.stage1_detect.detect_unit import FrameBatch
from orn.stage1_detect.own_detector_results import frame_detections

_MOST_BYTES = 2**24
"""Size limit of a file of code."""
_FORM = "expected FILE.py:NAME, a file and the function in it that makes the detector"


class OwnDetector(Protocol):
    """A user's detector. Optional attributes: `score_kind`, `softmax` or `sigmoid`, if results have
    class scores; and a method `reset()`, called before the first frames of each video of a unit.
    """

    classes: Sequence[str]
    """Names of the classes, in the order of labels."""
    name: str
    """Name of the detector."""
    version: str
    """Version of the detector; new weights or settings require a new version."""

    def __call__(
        self, frames: list[NDArray[np.uint8]], video: Video, times: tuple[float, ...]
    ) -> Sequence[Any]:
        """Return a result for each frame, as described in `frame_detections`.

        Args:
            frames: consecutive frames of a video, (H, W, 3) uint8 RGB of one size.
            video: the video: `id` and `path`.
            times: presentation time of each frame in seconds.
        """


class CallableDetector:
    """A `Detector` that calls a user's detector."""

    def __init__(self, own: OwnDetector, entry: DetectorEntry, score_kind: ScoreKind) -> None:
        self.entry = entry
        """The detector's entry in a shard."""
        self.score_kind: ScoreKind = score_kind
        """The kind of class scores; a detector of kind `label` has no class scores."""
        self._own = own

    def prepare(self, image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame itself."""
        return image_HWC

    def infer(
        self, prepared: Sequence[NDArray[np.uint8]], batch: FrameBatch
    ) -> list[tuple[tuple[int, ...], Any]]:
        """Return size and result of each frame; an error is the result of each frame.

        Raises:
            DetectorError: if the detector tries to end the process.
        """
        results: Sequence[Any]
        try:
            with _without_exit(self.entry.config_name):
                results = self._results(prepared, batch)
        except Exception as err:  # the user's code can raise any exception
            if isinstance(err, _ExitError):
                raise
            results = [err] * len(prepared)
        return [(image.shape[:2], one) for image, one in zip(prepared, results, strict=True)]

    def _results(self, prepared: Sequence[NDArray[np.uint8]], batch: FrameBatch) -> Sequence[Any]:
        if batch.is_first and hasattr(self._own, "reset"):
            self._own.reset()
        times = tuple(seconds for _, seconds in batch.frames)
        results = [*self._own([*prepared], batch.video, times)]
        if len(results) != len(prepared):
            raise DetectorError(
                f"expected a result for each of {len(prepared)} frames, got {len(results)}"
            )
        return results

    def encode(self, result: tuple[tuple[int, int], Any]) -> FrameDetections:
        """Return the detections of a frame.

        Raises:
            DetectorError: if the detector raised an error, or its result is invalid.
        """
        (height, width), value = result
        threshold = self.entry.thresholds["score"]
        try:
            if isinstance(value, Exception):
                raise value
            return frame_detections(value, height=height, width=width, score_threshold=threshold)
        except Exception as err:  # the result can be any object
            raise DetectorError(f"{self.entry.config_name}: {_text(err)}") from err


def load_own(
    device: str,
    *,
    detector: OwnDetector | str,
    score_threshold: float,
    batch_size: int,
    frame_rate: float | None,
    threads: int | None = None,
) -> CallableDetector:
    """Return the detector of a user. Also sets the number of CPU threads in this process.

    Args:
        device: device of this process, such as `cpu` or `cuda:1`.
        detector: the detector, or `FILE.py:NAME`, the factory that makes it.
        score_threshold: minimum score of a detection, 0..1.
        batch_size: maximum number of frames per call.
        frame_rate: frame rate at which videos are sampled.
        threads: number of CPU threads; None keeps the current number.

    Raises:
        DetectorError: if the file cannot be executed, or makes something else.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    known = own_settings(detector, score_threshold=score_threshold, batch_size=batch_size)
    own = _made(detector, device) if isinstance(detector, str) else detector
    told = _Described.of(own, f"detector {path_text(own_name(detector))}")
    entry = DetectorEntry.of_user(
        f"{told.name} {told.version}",
        checkpoint_digest=json_digest([known["config_digest"], told.name, told.version]),
        frame_rate=frame_rate,
        class_names=told.classes,
        **known,
    )
    return CallableDetector(own, entry, told.score_kind)


@lru_cache(maxsize=1)
def load_own_once(device: str, **settings: Any) -> CallableDetector:
    """Return the detector that `FILE.py:NAME` makes, once in this process."""
    return load_own(device, **settings)


def own_file(detector: str) -> tuple[Path, str]:
    """Return the file and the name in `FILE.py:NAME`."""
    file, _, name = detector.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise DetectorError(f"--detector {path_text(detector)}: {_FORM}; add the name")
    return Path(file), name


def own_name(detector: OwnDetector | str | None) -> str:
    """Return the name of a detector for people."""
    return detector if isinstance(detector, str) else str(getattr(detector, "name", ""))


def own_settings(
    detector: OwnDetector | str, *, score_threshold: float, batch_size: int
) -> dict[str, Any]:
    """Return the fields of a detector's entry that are known before its file is executed."""
    digest = UNKNOWN_SOURCE
    if isinstance(detector, str):
        digest = file_digest(own_file(detector)[0], error=DetectorError)
    return {
        "config_digest": digest,
        "batch_size": batch_size,
        "thresholds": {"score": score_threshold},
        "versions": installed_versions("torch", "torchvision", "av"),
    }


def _made(detector: str, device: str) -> Any:
    """Execute a file and call its factory. No bytecode is stored, which could be outdated."""
    path, name = own_file(detector)
    module = ModuleType(f"own_detector_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # read by dataclasses, for example
    try:
        content = read_bounded(path, most_bytes=_MOST_BYTES, error=DetectorError)
        with _without_exit(f"--detector {path_text(detector)}"):
            exec(compile(content, str(path), "exec"), module.__dict__)
            factory = getattr(module, name)
            takes_device = "device" in inspect.signature(factory).parameters
            return factory(device=device) if takes_device else factory()
    except _ExitError:
        raise
    except Exception as err:  # the user's code can raise any exception
        raise DetectorError(f"--detector {path_text(detector)}: {_text(err)}") from err


class _ExitError(DetectorError):
    """A detector that tries to end its process."""


@contextmanager
def _without_exit(where: str) -> Iterator[None]:
    """Raise an error if the user's code in the block calls `sys.exit` or `os._exit`: a job that
    ends with exit code 0 counts as done. Other threads, and processes forked here, can exit."""
    here, end = (os.getpid(), threading.get_ident()), os._exit

    def refused(status: int) -> None:
        if (os.getpid(), threading.get_ident()) != here:
            end(status)
        raise SystemExit(status)

    os._exit = refused  # type: ignore[assignment]
    try:
        yield
    except SystemExit as err:
        raise _ExitError(
            f"{where}: expected results, got an attempt to end the process (exit code "
            f"{err.code!s:.40}); remove sys.exit and os._exit from the detector"
        ) from err
    finally:
        os._exit = end


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class _Described:
    """What a detector has to tell."""

    classes: Annotated[tuple[Printable, ...], Field(min_length=1, max_length=MOST_CLASSES)]
    name: Annotated[Printable, Field(min_length=1)]
    version: Annotated[Printable, Field(min_length=1)]
    score_kind: ScoreKind = "label"

    @classmethod
    def of(cls, own: Any, where: str) -> Self:
        """Return what a detector tells.

        Raises:
            DetectorError: if an attribute is missing or invalid, or it cannot be called.
        """
        names = [field.name for field in fields(cls) if hasattr(own, field.name)]
        told = {name: getattr(own, name) for name in names}
        if isinstance(told.get("classes"), list):
            told["classes"] = tuple(told["classes"])
        try:
            described = cls(**told)
        except ValidationError as err:
            problem = problems_of(err, cls)
            raise DetectorError(f"{where}: {problem}; see docs/own_detector.md") from err
        if not callable(own):
            raise DetectorError(f"{where}: expected a function, got {type(own).__name__}")
        return described


def _text(err: Exception) -> str:
    """Return an error on one line, with its type unless it is one of ours."""
    text = " ".join(str(err).split())
    return text if isinstance(err, PipelineError) else f"{type(err).__name__}: {text}"
