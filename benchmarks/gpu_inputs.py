"""What `orn bench gpu` detects with: a made film, and a Mask R-CNN with random weights whose score
threshold 20 detections a frame reach, in any precision."""

import gc
import pickle
from functools import lru_cache
from typing import Any

import torch

from benchmarks.detect_inputs import DetectInputs, Detection, make_inputs, with_searched_threshold
from benchmarks.gpu_cell import Setting
from benchmarks.made_inputs import moving_pictures, write_video
from shared.errors import DetectorError
from stage1_detect.mmdet.model import check_precision

_WAYS = (
    "fp32",
    "fp32-fast",
    "tf32",
    "fp16",
    "bf16",
    "tf32-fast",
    "fp16-heads-fast",
    "bf16-heads-fast",
)
"""Precisions as `--precision` has them, and whether the fast path is taken."""
_LONG = {"fp32": "float32", "tf32": "tfloat32", "bf16": "bfloat16", "fp16": "float16"}
_SPREAD = 30.0
"""Of random scores, which else lie within a hundredth of each other."""


def ways_of(device: str) -> list[str]:
    """The ways in which a device can detect, the ones that are worth most first."""
    return [each for each in _WAYS if _is_possible(each, device)]


def choice_of(way: str) -> tuple[Any, bool]:
    """Precision as shards record it, and whether the fast path is taken."""
    name, *rest = way.split("-")
    return "-".join([_LONG[name], *(each for each in rest if each == "heads")]), "fast" in rest


def film_frames(setting: Setting) -> int:
    """Frames of the film that are looked at: all on a card, some on a slow CPU."""
    if setting.short:
        return 2
    return 96 if setting.is_cuda else 3


def looked_at(setting: Setting) -> int:
    """Frames in which detections are compared and parts are timed."""
    return min(film_frames(setting), 32)


@lru_cache(maxsize=1)
def inputs_of(setting: Setting) -> DetectInputs:
    """Made once for all processes."""
    path = setting.work / "inputs.pkl"
    if not path.is_file():
        height, width = (90, 160) if setting.short else (720, 1280)
        pictures = moving_pictures(film_frames(setting), height=height, width=width)
        film = write_video(setting.work / "film.mp4", pictures)
        made = make_inputs(
            setting.work, video=film, checkpoint=None, small=setting.short, spread=_SPREAD
        )
        found = with_searched_threshold(made, setting.device, frames=8 if setting.is_cuda else 2)
        path.write_bytes(pickle.dumps(found))
    inputs: DetectInputs = pickle.loads(path.read_bytes())  # of our own making
    return inputs


_kept: dict[tuple[Setting, str], Detection] = {}


def detection_of(setting: Setting, way: str) -> Detection:
    """Detector and film on the device; the last one stays, alone, as TF32 is a setting of the
    process and memory is measured."""
    if (setting, way) not in _kept:
        forget_detection()
        precision, fast = choice_of(way)
        _kept[setting, way] = Detection(
            inputs_of(setting),
            setting.work,
            frames=1,
            device=setting.device,
            precision=precision,
            fast=fast,
        )
    return _kept[setting, way]


def forget_detection() -> None:
    """Frees its memory."""
    _kept.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _is_possible(way: str, device: str) -> bool:
    try:
        check_precision(choice_of(way)[0], torch.device(device))
    except DetectorError:
        return False
    return True
