"""An instance segmenter of mmdet: built from a configuration, with the weights of a file."""

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from orn.shared.config.bounded import file_digest
from orn.shared.config.fields import described
from orn.shared.environment import installed_version
from orn.shared.errors import DetectorError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.tensors import mismatch
from orn.shared.text import counted, path_text, truncate
from orn.shared.torch_files import read_torch_file, tensors_in
from orn.stage1_detect.mmdet.config import DetectorConfig, told
from orn.stage1_detect.mmdet.library import (
    DATASETS,
    MODELS,
    FCNMaskHead,
    MaskRCNN,
    MMLogger,
    ResNet,
    ResNeXt,
    Segmenter,
    StandardRoIHead,
    fuse_conv_bn,
    register_all_modules,
)

Precision: TypeAlias = Literal[
    "float32", "tfloat32", "float16", "bfloat16", "float16-heads", "bfloat16-heads"
]
"""What convolutions compute in: those of backbone, pyramid and proposal head; with `-heads` the
layers that look at single objects, too. `tfloat32` rounds what all of them multiply to 10 bits of
mantissa, on a GPU that can. Boxes and suppression stay in float32: half precision cannot tell
pixels apart beyond 2048."""
_GPU_ONLY = {"tfloat32": "tf32", "float16": "fp16", "float16-heads": "fp16-heads"}
"""By name, what people call it."""
_HISTORIES = (
    "__builtin__ getattr",
    "mmengine.logging.history_buffer HistoryBuffer",
    "numpy dtype",
    "numpy ndarray",
    *(
        f"numpy.{core}.multiarray {name}"
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
)
"""What mmengine's checkpoints hold beside tensors: losses of all steps, in arrays of numpy."""


NOT_FINITE = (
    "the network gave numbers that are not finite; take a wider precision than fp16, or other "
    "weights"
)


def build_model(detector: DetectorConfig, *, initialise: bool = False) -> Segmenter:
    """Build mmdet's network of this configuration, on the CPU, without pretrained weights.

    Args:
        detector: the configuration.
        initialise: draw the weights for a training, from torch's global generator.

    Raises:
        DetectorError: mmdet cannot build it, or it gives no masks of objects.
    """
    settings = detector.config.model.copy()
    if settings.get("backbone", {}).get("init_cfg"):
        settings.backbone.init_cfg = None  # weights come from the checkpoint, not from the network
    if settings.get("data_preprocessor"):
        settings.data_preprocessor.non_blocking = True  # frames are pinned where there is a GPU
    with quiet():
        register_all_modules(init_default_scope=True)
        try:
            model = MODELS.build(settings)
        except Exception as err:  # whatever the configuration makes mmdet do
            raise DetectorError(
                f"detector config {detector.name}: mmdet cannot build it: {told(err)}"
            ) from err
        if initialise:
            model.init_weights()
    if is_mask_rcnn(model):
        _check_numbers(model.roi_head.test_cfg or {}, detector.name)
    else:
        _check_masks(model, detector.name)
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedWeights:
    """A file of weights that a model was filled from."""

    digest: str
    """"sha256:..." of the file."""
    class_names: tuple[str, ...] | None
    """Names of the classes that it was trained with, where it says so."""


def load_weights(model: Segmenter, checkpoint: Path, *, config_name: str) -> LoadedWeights:
    """Fill the model from a file.

    The file is mmdet's (a dict with `state_dict`) or a bare state dict. Nothing in it is executed.

    Raises:
        DetectorError: the file cannot be read, or its weights are not those of the configuration.
    """
    weights, class_names = _read_weights(checkpoint)
    wanted = model.state_dict()
    weights = {  # those of the demo are stored in half precision
        name: weight.to(wanted[name].dtype) if name in wanted else weight
        for name, weight in weights.items()
    }
    if problem := mismatch(weights, wanted):
        raise DetectorError(
            f"checkpoint {checkpoint} does not fit the config {config_name}: {problem}; give the "
            "config that it was trained with, or download it again"
        )
    model.load_state_dict(weights)
    digest = file_digest(checkpoint, error=DetectorError)
    return LoadedWeights(digest=digest, class_names=class_names)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops what mmengine and mmdet print, log and warn of while they build things.

    From then on their log goes where ours goes, from WARNING up, instead of to stdout.
    """
    MMLogger.get_current_instance().handlers = [_ToOurLog(logging.WARNING)]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _ToOurLog(logging.Handler):
    """Passes records on; mmengine's logger stands outside of logging's tree."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger("mmengine").handle(record)


def is_mask_rcnn(model: Segmenter) -> bool:
    """Whether a model is a Mask R-CNN as `MmdetDetector` runs it, with softmax scores."""
    roi_head: Any = getattr(model, "roi_head", None)
    return (
        type(roi_head) is StandardRoIHead
        and roi_head.with_bbox
        and isinstance(getattr(roi_head, "mask_head", None), FCNMaskHead)
        and not roi_head.bbox_head.custom_cls_channels
        and model.with_rpn
    )


def class_head(model: Segmenter) -> Any:
    """Return the part of a model that tells classes, the last stage of several."""
    roi_head = getattr(model, "roi_head", None)
    heads = [getattr(model, name, None) for name in ("panoptic_fusion_head", "bbox_head")]
    heads = [getattr(roi_head, "bbox_head", None), *heads, getattr(model, "mask_head", None)]
    head = next((each for each in heads if each is not None), None)
    return head[-1] if isinstance(head, torch.nn.ModuleList) else head


def set_score_threshold(model: Segmenter, score_threshold: float) -> None:
    """Let a model drop detections that score less, before masks are made of them."""
    for name in ("roi_head", "bbox_head", "mask_head"):
        settings: Any = getattr(getattr(model, name, None), "test_cfg", None)
        if settings and "score_thr" in settings:
            settings.score_thr = score_threshold


def names_of_classes(
    model: Segmenter, detector: DetectorConfig, weights: LoadedWeights
) -> tuple[str, ...]:
    """Return the names of a model's classes: as its weights have them, else the configuration's
    test data set; COCO's 80 where neither has any.

    Raises:
        DetectorError: there are not as many as the model has classes.
    """
    names = weights.class_names or _names_in_config(detector) or COCO_CLASSES
    num_classes = class_head(model).num_classes
    if len(names) != num_classes:
        raise DetectorError(
            f"detector config {detector.name}: expected names of its "
            f"{counted(num_classes, 'class', 'classes')}, got {len(names)} from {names[0]!r} on; "
            "name them in test_dataloader.dataset.metainfo.classes of a config of yours"
        )
    return names


def _names_in_config(detector: DetectorConfig) -> tuple[str, ...] | None:
    dataset = detector.config.test_dataloader.get("dataset") or {}
    while "dataset" in dataset:  # wrappers, as RepeatDataset
        dataset = dataset["dataset"]
    own = _names_in(dataset.get("metainfo"), "classes")
    kind = DATASETS.get(dataset["type"]) if isinstance(dataset.get("type"), str) else None
    return own or _names_in(getattr(kind, "METAINFO", None), "classes")


def _names_in(content: Any, key: str) -> tuple[str, ...] | None:
    """Return the names under a key of a dict; None if there is no list of names."""
    names = content.get(key) if isinstance(content, dict) else None
    names = (names,) if isinstance(names, str) else names
    if isinstance(names, list | tuple) and all(isinstance(each, str) for each in names):
        return tuple(names)
    return None


def _check_masks(model: Segmenter, name: str) -> None:
    """Check that a model gives masks of objects."""
    fusion = getattr(model, "panoptic_fusion_head", None)
    if fusion is not None and not fusion.test_cfg.get("instance_on"):
        raise DetectorError(
            f"detector config {name}: expected masks of objects, got a panoptic segmenter without; "
            "set model.test_cfg.instance_on = True in a config of yours"
        )
    has_masks = model.with_mask or hasattr(getattr(model, "bbox_head", None), "mask_head")
    if fusion is None and not has_masks:
        raise DetectorError(
            f"detector config {name}: expected an instance segmenter, got {type(model).__name__}, "
            "which gives boxes without masks; take one with masks, such as mask-rcnn_* or "
            "rtmdet-ins_*, or write its boxes with orn.FrameDetections.from_boxes"
        )


def _check_numbers(settings: Any, name: str) -> None:
    numbers = {key: settings.get(key) for key in ("score_thr", "max_per_img", "mask_thr_binary")}
    suppression = settings.get("nms")
    known = suppression if isinstance(suppression, dict) else {}
    numbers["nms.iou_threshold"] = known.get("iou_threshold")
    for key, value in numbers.items():
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise DetectorError(
                f"detector config {name}: model.test_cfg.rcnn.{key}: wanted a number, found "
                f"{value!r:.80}"
            )


def _read_weights(checkpoint: Path) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    """Return weights by name, and the names of classes."""
    content = read_torch_file(
        checkpoint, what="a detector's weights", dropped=_HISTORIES, error=DetectorError
    )
    weights = tensors_in(content.get("state_dict", content) if isinstance(content, dict) else None)
    if not weights:
        found = described(content)
        if isinstance(content, dict):
            names = [*map(str, content)]
            found = f"other entries ({truncate(', '.join(names))})" if names else "no entry"
        raise DetectorError(
            f"{path_text(checkpoint)}: expected tensors by name, or a 'state_dict' of them, got "
            f"{found}; give weights that mmdet saved"
        )
    meta = content.get("meta")
    of_dataset = meta.get("dataset_meta") if isinstance(meta, dict) else None
    classes = _names_in(of_dataset, "classes") or _names_in(meta, "CLASSES")  # of mmdet 2
    return {key.removeprefix("module."): weight for key, weight in weights.items()}, classes


def fuse_batch_norms(model: MaskRCNN) -> None:
    """Folds batch normalisations into the convolutions before them, in place.

    In evaluation each is a fixed factor and offset per channel, which a convolution can apply at no
    cost. Results differ in their last bits; with ResNet-50 on a CPU the backbone takes a fifth less
    time. Only for backbones of which it is known that each normalisation follows the convolution
    registered before it. The model must be in evaluation mode and have its weights.
    """
    if type(model.backbone) in (ResNet, ResNeXt):
        model.backbone = fuse_conv_bn(model.backbone)


def check_precision(precision: Precision, device: torch.device) -> None:
    """Checks that a device can compute in this format.

    Raises:
        DetectorError: it cannot.
    """
    if precision not in get_args(Precision):
        wanted = ", ".join(get_args(Precision))
        raise DetectorError(f"precision {precision!r}: wanted one of {wanted}")
    if precision in _GPU_ONLY and device.type != "cuda":
        raise DetectorError(
            f"precision {_GPU_ONLY[precision]} ({precision}) needs a CUDA GPU, found the device "
            f"{str(device)!r}; take bf16 or fp32"
        )


def use_float32_of(precision: Precision) -> None:
    """Makes this process compute float32 on GPUs with all of its bits, or for `tfloat32` with
    fewer. cuDNN's convolutions would otherwise round to TF32 on cards that know it."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tfloat32"
    torch.backends.cudnn.allow_tf32 = precision == "tfloat32"


def autocast(
    precision: Precision, device: torch.device, *, of_heads: bool = False
) -> AbstractContextManager[Any]:
    """Runs a block's layers in this format, those of the heads for objects where it says so;
    float32 changes nothing."""
    name, _, part = precision.partition("-")
    if name in ("float32", "tfloat32") or (of_heads and part != "heads"):
        return nullcontext()
    # Without the cache of weights, which a CUDA graph would keep beyond its time.
    return torch.autocast(device.type, getattr(torch, name), cache_enabled=False)


def thresholds_of(model: Segmenter, score_threshold: float) -> dict[str, float]:
    """Return the numbers that decide which detections a model gives, by name."""
    if not is_mask_rcnn(model):  # others are in the configuration, under names of their own
        return {"score": score_threshold}
    settings = model.roi_head.test_cfg
    return {
        "score": float(settings.score_thr),
        "nms_iou": float(settings.nms.iou_threshold),
        "max_per_image": float(settings.max_per_img),
        "mask": float(settings.mask_thr_binary),
    }


@contextlib.contextmanager
def naming_config(name: str) -> Iterator[None]:
    """Name the configuration in errors of a network, such as of operators that are missing."""
    try:
        yield
    except DetectorError as err:
        raise DetectorError(f"detector config {name}: {err}") from err


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape the results."""
    names = ("torch", "torchvision", "mmdet", "mmengine", "mmcv", "mmcv-lite", "av")
    return {name: version for name in names if (version := installed_version(name))}
