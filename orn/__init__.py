"""Object-level visual reasoning in videos: the Python interface, see docs/python.md.

Importing it loads nothing heavy; each function imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from orn.shared.masks.detections import FrameDetections
    from orn.shared.shards.shard import Shard
    from orn.shared.shards.writer import ShardWriter
    from orn.stage1_detect.mmdet.detector import MmdetDetector
    from orn.stage1_detect.mmdet.segmenter import MmdetSegmenter
    from orn.stage2_train.clips.batches import ClipBatch
    from orn.stage2_train.explanation.importance import Importance
    from orn.stage2_train.opened_dataset import OpenedDataset
    from orn.stage2_train.predict.arrays import ObjectDetector
    from orn.stage2_train.predict.records import WindowPrediction
    from orn.stage2_train.runs.trained import OpenedModel

    __version__: str

__all__ = [
    "open_shard",
    "ShardWriter",
    "load_detector",
    "open_dataset",
    "load_model",
    "predict",
    "explain",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import the names that are not functions of this module when they are first used."""
    if name == "ShardWriter":
        from orn.shared.shards.writer import ShardWriter

        return ShardWriter
    if name == "__version__":
        from importlib.metadata import version

        return version("object-relation-network")
    raise AttributeError(f"module 'orn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def open_shard(path: str | Path) -> Shard:
    """Open a shard. Nothing but what is asked for is read.

    Example::

        shard = orn.open_shard("shards/demo/shard-000000.zarr.zip")
        for frame in shard["train-000000"]:
            print(frame.seconds, frame.detections.boxes)

    Raises:
        ShardNotFoundError: if there is no such file.
        ShardFormatError: if it is damaged, or not of a format version that this release reads.
    """
    from orn.shared.shards.shard import Shard

    return Shard(Path(path))


def load_detector(
    checkpoint: str | Path | None = None,
    *,
    config: str | Path | None = None,
    score_threshold: float = 0.3,
    device: str | torch.device = "auto",
) -> MmdetDetector | MmdetSegmenter:
    """Load the detector that `orn detect` would use.

    Example::

        detector = orn.load_detector(config="mask_rcnn_demo")
        found = detector.detect(frames)  # (H, W, 3) uint8 RGB arrays of equal size

    Args:
        checkpoint: file of weights; weights that come with the project bring their configuration.
            None takes those that are published for the configuration, from torch.hub's cache,
            fetched if they are not there.
        config: a configuration's file, its name in MMDetection's model zoo, or the name of a
            detector that comes with the project, which brings its weights: `mask_rcnn_demo`.
        score_threshold: detections below it are dropped, 0..1.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` takes a GPU where there is one.

    Raises:
        DetectorError: no such configuration, file or device, they do not fit each other, weights
            cannot be fetched, or an argument is of another type or out of its range.
    """
    from numbers import Real

    from orn.shared.errors import DetectorError
    from orn.shared.manifests.records import DetectorChoice
    from orn.stage1_detect.detect import choose_files
    from orn.stage1_detect.mmdet import detector

    for name, path in (("checkpoint", checkpoint), ("config", config)):
        if not isinstance(path, str | Path | None):
            raise DetectorError(f"{name}: expected a path, got {path!r:.80}; pass a str or a Path")
    if not isinstance(score_threshold, Real) or not 0 <= score_threshold <= 1:
        raise DetectorError(
            f"score_threshold: expected a number from 0 to 1, got {score_threshold!r:.80}"
        )
    chosen, weights = choose_files(
        DetectorChoice(),
        config=None if config is None else str(config),
        checkpoint=None if checkpoint is None else Path(checkpoint),
    )
    return detector.load_detector(
        device, config=chosen, checkpoint=weights, score_threshold=score_threshold
    )


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
    """Open a data set with its shards and stored frames.

    Example::

        dataset = orn.open_dataset("demo", data="data")
        for batch in dataset.batches("train", batch_size=16, epochs=2):
            print(batch.ids, batch.frames_BTCHW.shape)

    Args:
        manifest: name or TOML file of the data set.
        data: folder under which data sets lie.
        shards: folder of the shards; `shards/DATASET` by default.
        clips: the clip store; `clips/DATASET` by default.
        decode: whether frames are decoded from the videos in place of a clip store.
        recipe: name or file of a recipe, which says how clips are made; the data set's by default.
        settings: replace single settings of it, such as `data.clip_frames=8`.
        partial: whether segments whose video is not there may be left out.

    Raises:
        PipelineError: if something is missing or invalid; the message names it.
    """
    from orn.stage2_train.opened_dataset import open_with_resources
    from orn.stage2_train.resources import Resources

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


def load_model(path: str | Path, *, device: str | torch.device = "auto") -> OpenedModel:
    """Load a trained network with its best weights and all that is needed to make clips for it.

    Example::

        model = orn.load_model("runs/demo")
        print(model.classes)

    Args:
        path: the folder of a run, a model folder of `orn export`, or `hf://ORG/NAME`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        ConfigError: if it is neither, or there is no such device.
        CheckpointError: if its weights cannot be used.
    """
    from orn.shared.errors import ConfigError
    from orn.stage2_train.runs.hub import local_folder
    from orn.stage2_train.runs.trained import open_model

    if not isinstance(path, str | Path):
        raise ConfigError(f"path: expected a str or a Path, got {path!r:.80}")
    return open_model(local_folder(path), device=device)


def predict(
    model: OpenedModel,
    video: str | Path | Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    detections: str | Path | ObjectDetector | Sequence[FrameDetections],
    *,
    video_id: str | None = None,
    rate: float | None = None,
    seconds: ArrayLike | None = None,
    window: float | None = None,
    stride: float | None = None,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """Predict the activity of a video: once for a short one, else once a window, by their starts.

    Each prediction is made when it is asked for.

    Example::

        for prediction in orn.predict(model, "film.mp4", detector, pairs=3):
            print(prediction.start_seconds, model.classes[prediction.label])

    Args:
        model: what `load_model` returned.
        video: a file, a folder of JPEGs, or frames as (H, W, 3) uint8 RGB arrays of equal
            size, or as one (F, H, W, 3) array.
        detections: the folder of the shards that have the file; or a detector, as `load_detector`
            returns it, which is run on the sampled frames only; or, with arrays, the detections of
            each frame.
        video_id: the video's id in the shards; by default that of the file's name.
        rate: frames a second, for a folder of JPEGs.
        seconds: (F,) times of the arrays, increasing; without them all F frames are one window and
            a frame's time is its number.
        window: seconds of a window; by default as long as the segments of the training.
        stride: seconds from the start of one window to that of the next; half a window by default.
        pairs: number of the most important pairs of objects to return with each prediction.

    Raises:
        ShapeError: if frames, detections or times are not arrays as above.
        ConfigError: if another argument is not as above, or does not go with the others.
        VideoDecodeError, ShardNotFoundError, JoinError: if the video cannot be read, or there are
            no detections of it.
        PipelineError: any of these, and whatever else is wrong with a file.
    """
    from orn.stage2_train.predict.arrays import predict_given
    from orn.stage2_train.predict.windows import WindowChoice

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


def explain(model: OpenedModel, batch: ClipBatch, *, class_B: Tensor | None = None) -> Importance:
    """Return how much each pair of objects, and each object, counts for the predicted classes.

    Example::

        batch = next(iter(dataset.batches("validation")))
        found = orn.explain(model, batch)
        print(found.logit_drop_P)  # logit drop of each pair when it is removed

    Args:
        model: what `load_model` returned.
        batch: B clips, as `dataset.batches` gives them.
        class_B: (B,) int64 classes to explain in place of the predicted ones.

    Raises:
        ConfigError: if the network relates no objects.
        ShapeError: if the batch does not fit the network.
    """
    from orn.stage2_train.explanation.importance import explain as explain_network

    return explain_network(model.network, batch.to(model.device).inputs(), class_B=class_B)
