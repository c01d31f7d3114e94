"""mmdet's Mask R-CNN: built from a configuration, with the weights of a file, in some precision."""

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from orn.shared.config.bounded import file_digest, shown
from orn.shared.config.fields import described
from orn.shared.environment import installed_version
from orn.shared.errors import DetectorError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.shards.schema import DetectorEntry
from orn.shared.tensors import misfit
from orn.shared.text import shortened
from orn.shared.torch_files import read_torch_file, tensors_in
from orn.stage1_detect.mmdet.config import DetectorConfig, told
from orn.stage1_detect.mmdet.library import (
    MODELS,
    FCNMaskHead,
    MaskRCNN,
    MMLogger,
    ResNet,
    ResNeXt,
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


def build_model(detector: DetectorConfig, *, initialise: bool = False) -> MaskRCNN:
    """mmdet's Mask R-CNN of this configuration, on the CPU, without pretrained weights.

    Args:
        detector: the configuration.
        initialise: draw the weights for a training, from torch's global generator.

    Raises:
        DetectorError: mmdet cannot build it, or it is no Mask R-CNN.
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
    _check_supported(model, detector.name)
    return model


def load_weights(model: MaskRCNN, checkpoint: Path, *, config_name: str) -> str:
    """Fills the model from a file and returns "sha256:..." of the file.

    The file is mmdet's (a dict with `state_dict`) or a bare state dict. Nothing in it is executed.

    Raises:
        DetectorError: the file cannot be read, or its weights are not those of the configuration.
    """
    weights = _read_weights(checkpoint)
    wanted = model.state_dict()
    weights = {  # those of the demo are stored in half precision
        name: weight.to(wanted[name].dtype) if name in wanted else weight
        for name, weight in weights.items()
    }
    if problem := misfit(weights, wanted):
        raise DetectorError(
            f"checkpoint {checkpoint} does not fit the config {config_name}: {problem}; give the "
            "config that it was trained with, or download it again"
        )
    model.load_state_dict(weights)
    return file_digest(checkpoint, error=DetectorError)


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


def _check_supported(model: MaskRCNN, name: str) -> None:
    roi_head: Any = getattr(model, "roi_head", None)
    has_heads = type(roi_head) is StandardRoIHead and roi_head.with_bbox and roi_head.with_mask
    if not has_heads or not model.with_rpn:
        raise DetectorError(
            f"detector config {name}: wanted a Mask R-CNN (StandardRoIHead with a mask head), "
            f"found {type(model).__name__} with {type(roi_head).__name__}; "
            "choose a mask-rcnn_* config"
        )
    if not isinstance(roi_head.mask_head, FCNMaskHead) or roi_head.bbox_head.custom_cls_channels:
        raise DetectorError(
            f"detector config {name}: wanted FCNMaskHead and softmax scores, "
            f"found {type(roi_head.mask_head).__name__} and "
            f"{type(roi_head.bbox_head.loss_cls).__name__}"
        )
    settings = roi_head.test_cfg or {}
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


def _read_weights(checkpoint: Path) -> dict[str, Tensor]:
    content = read_torch_file(
        checkpoint, what="a detector's weights", dropped=_HISTORIES, error=DetectorError
    )
    weights = tensors_in(content.get("state_dict", content) if isinstance(content, dict) else None)
    if not weights:
        found = described(content)
        if isinstance(content, dict):
            names = [*map(str, content)]
            found = f"other entries ({shortened(', '.join(names))})" if names else "no entry"
        raise DetectorError(
            f"{shown(checkpoint)}: expected tensors by name, or a 'state_dict' of them, got "
            f"{found}; give weights that mmdet saved"
        )
    return {key.removeprefix("module."): weight for key, weight in weights.items()}


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


def detector_entry(
    detector: DetectorConfig,
    model: MaskRCNN,
    *,
    checkpoint_digest: str,
    precision: Precision = "float32",
    frame_rate: float | None = None,
) -> DetectorEntry:
    """What shards record about a model and the settings that it runs with."""
    settings = model.roi_head.test_cfg
    return DetectorEntry(
        config_name=detector.name,
        config_digest=detector.digest,
        checkpoint_digest=checkpoint_digest,
        precision=precision,
        thresholds={
            "score": float(settings.score_thr),
            "nms_iou": float(settings.nms.iou_threshold),
            "max_per_image": float(settings.max_per_img),
            "mask": float(settings.mask_thr_binary),
        },
        versions=library_versions(),
        frame_rate=frame_rate,
        class_names=COCO_CLASSES,
    )


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape the results."""
    names = ("torch", "torchvision", "mmdet", "mmengine", "mmcv", "mmcv-lite", "av")
    return {name: version for name in names if (version := installed_version(name))}
