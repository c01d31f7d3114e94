"""What Python code imports from here, see docs/python.md; what is heavy is imported when called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from shared.masks.detections import FrameDetections
    from stage2_train.opened_dataset import OpenedDataset
    from stage2_train.predict.arrays import FindsObjects
    from stage2_train.predict.opened import OpenedModel
    from stage2_train.predict.records import WindowPrediction

__all__ = ["load_model", "open_dataset", "predictions"]


def open_dataset(
    manifest: str | Path,
    *,
    data: str | Path = "data",
    shards: str | Path | None = None,
    clips: str | Path | None = None,
    decode: bool = False,
    recipe: str | Path | None = None,
    settings: Sequence[str] = (),
    partial: bool = False,
) -> OpenedDataset:
    """A data set with its shards and stored frames; its `batches(split)` are what the network is
    trained on.

    Args:
        manifest: name or TOML file of the data set.
        data: folder under which data sets lie.
        shards: folder of the shards; `shards/DATASET` by default.
        clips: the clip store; `clips/DATASET.h5` by default.
        decode: whether frames are decoded from the videos in place of a clip store.
        recipe: name or file of a recipe, which says how clips are made; the data set's by default.
        settings: replace single settings of it, such as `data.clip_frames=8`.
        partial: whether segments whose video is not there may be left out.

    Raises:
        PipelineError: if something is not there, or not as it should be; the message says what.
    """
    from stage2_train.opened_dataset import open_with_resources
    from stage2_train.resources import Resources

    return open_with_resources(
        str(manifest),
        Resources(
            data_root=Path(data),
            shards=None if shards is None else Path(shards),
            clips=None if clips is None else Path(clips),
            no_clip_store=decode,
            partial=partial,
        ),
        recipe=None if recipe is None else str(recipe),
        settings=settings,
    )


def load_model(path: str | Path, *, device: str = "auto") -> OpenedModel:
    """A trained network, with its best weights and all that is needed to make clips for it.

    Args:
        path: the folder of a run, a model folder of `orn export`, or `hf://ORG/NAME`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        ConfigError: if it is neither, or there is no such device.
        CheckpointError: if its weights cannot be used.
    """
    from shared.errors import ConfigError
    from stage2_train.predict.opened import open_model
    from stage2_train.runs.hub import local_folder

    if not isinstance(path, str | Path):
        raise ConfigError(f"path: expected a str or a Path, got {path!r:.80}")
    return open_model(local_folder(path), device=device)


def predictions(
    model: OpenedModel,
    video: str | Path | Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    detections: str | Path | FindsObjects | Sequence[FrameDetections],
    *,
    video_id: str | None = None,
    rate: float | None = None,
    seconds: ArrayLike | None = None,
    window: float | None = None,
    stride: float | None = None,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """What a network says of a video: one prediction for a short one, else one a window, by their
    starts. Each is made when it is asked for.

    Args:
        model: what `load_model` gave.
        video: a file, a folder of JPEGs, or frames as (H, W, 3) uint8 RGB arrays of equal
            size, or as one (F, H, W, 3) array.
        detections: the folder of the shards that have the file; or a detector, as `load_detector`
            gives it, which is shown only those frames that are looked at; or, with arrays, the
            detections of each frame.
        video_id: what the shards call the video; by default like the file.
        rate: frames a second, for a folder of JPEGs.
        seconds: (F,) times of the arrays, increasing; without them all F frames are one window and
            a frame's time is its number.
        window: seconds of a window; by default as long as the segments of the training.
        stride: seconds from the start of one to that of the next; half a window by default.
        pairs: how many of the pairs of objects that decided to tell of each.

    Raises:
        ShapeError: if frames, detections or times are not arrays as above.
        ConfigError: if another argument is not as above, or does not go with the others.
        VideoDecodeError, ShardNotFoundError, JoinError: if the video cannot be read, or there are
            no detections of it.
        PipelineError: any of these, and whatever else is wrong with a file.
    """
    from stage2_train.predict.arrays import predict_given
    from stage2_train.predict.windows import WindowChoice

    return predict_given(
        model,
        video,
        detections,
        video_id=video_id,
        rate=rate,
        seconds=seconds,
        choice=WindowChoice(seconds=window, stride_seconds=stride),
        pairs=pairs,
    )
