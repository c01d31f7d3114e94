"""`orn doctor`: check the installation and suggest fixes. Checks are independent: each has its own
imports and runs even if others fail. MMDetection is only located, since only the detection
stage imports it.
"""

import functools
import importlib
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orn.shared.devices import choose_device, choose_precision
from orn.shared.environment import PROJECT, installed_version, requirements

_OPENCV_NAMES = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
_ALTERNATIVES = {"mmcv-lite": "mmcv"}
"""Distributions that can replace a requirement: mmcv is mmcv-lite with compiled operators."""
_MMDETECTION = ("mmcv", "mmdet", "mmengine")

_PIP = f"{sys.executable} -m pip"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check."""

    name: str
    status: Literal["ok", "warning", "failed"]
    """"failed": a required component does not work."""
    found: str
    remedy: str = ""
    """The fix, such as a command; empty if none is needed."""


def run_checks() -> Iterator[Check]:
    """Yield the result of each check as soon as it is done."""
    yield _check_python()
    yield from _check_packages()
    for name, look in (
        ("cv2", _check_cv2),
        ("torch devices", _check_torch),
        ("precision", _check_precision),
        ("mmcv", _check_mmcv),
        ("weights", _check_weights),
    ):
        yield _guarded(name, look)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """Return the result of a check; an exception counts as a failure."""
    try:
        return look()
    except Exception as err:  # a broken installation can raise any exception
        result = f"{type(err).__name__}: {err}".splitlines()[0]
        return Check(name, "failed", result, remedy="make setup")


def _check_python() -> Check:
    result = f"{platform.python_version()} ({sys.executable})"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Check("python", "ok", result)
    remedy = "make PYTHON=python3.12 setup, after removing .venv"
    return Check("python", "failed", f"{result}, expected 3.11 to 3.13", remedy)


def _check_packages() -> Iterator[Check]:
    """Compare installed packages with the requirements of the project."""
    required = requirements()
    if not required:
        result = f"{PROJECT} is not installed in this Python"
        yield Check("packages", "failed", result, remedy="make setup")
    for name, specifier in required.items():
        if name not in _OPENCV_NAMES:  # any of them is enough, see _check_cv2
            yield _guarded(name, functools.partial(_check_package, name, specifier))


def _check_package(name: str, specifier: str) -> Check:
    from packaging.specifiers import SpecifierSet

    version = installed_version(name) or installed_version(_ALTERNATIVES.get(name, name))
    remedy = f"{_PIP} install '{name}{specifier}'"
    if version is None:
        is_optional = _ALTERNATIVES.get(name, name) in _MMDETECTION
        return Check(name, "warning" if is_optional else "failed", "not installed", remedy)
    if not SpecifierSet(specifier).contains(version, prereleases=True):
        result = f"{version}, expected {specifier}"
        return Check(name, "failed", result, remedy)
    return Check(name, "ok", f"{version} (required: {specifier or 'any'})")


def _check_cv2() -> Check:
    """Check OpenCV: mmcv requires opencv-python, whose library libGL is missing on many servers."""
    installed = {name: installed_version(name) for name in _OPENCV_NAMES}
    present = [f"{name} {version}" for name, version in installed.items() if version]
    remedy = (
        f"{_PIP} uninstall --yes {' '.join(_OPENCV_NAMES)} && "
        f"{_PIP} install --no-deps opencv-python-headless"
    )
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as err:
        result = f"{' and '.join(present) or 'not installed'}; does not import: {err}"
        if "libGL" in str(err) or "libgthread" in str(err):
            result += " (opencv-python needs desktop libraries, opencv-python-headless does not)"
        return Check("cv2", "failed", result, remedy)
    result = f"{cv2.__version__} from {' and '.join(present) or 'elsewhere'}"
    if len(set(installed.values()) - {None}) > 1:  # mmcv-lite requires one, this project another
        result += "; they overwrite each other's files"
        return Check("cv2", "warning", result, remedy)
    return Check("cv2", "ok", result)


def _check_torch() -> Check:
    """Check the devices, and the torchvision operators that replace mmcv's."""
    import torch
    import torchvision

    box_N4 = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    torchvision.ops.nms(box_N4, torch.ones(1), 0.5)
    devices = ["cpu"]
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        devices.append(f"cuda:{index} {torch.cuda.get_device_name(index)} {memory:.0f} GiB")
    devices[0] += f" {torch.backends.cpu.get_cpu_capability()}"
    result = f"{torch.__version__}, torchvision {torchvision.__version__}, {', '.join(devices)}"
    if len(devices) == 1 and Path("/dev/nvidia0").exists():
        result += "; torch cannot use the NVIDIA GPU of this machine"
        remedy = "install the torch build for the driver's CUDA version, see https://pytorch.org"
        return Check("torch devices", "warning", result, remedy)
    return Check("torch devices", "ok", result)


def _check_precision() -> Check:
    """Check which precision `auto` selects for training."""
    device = choose_device("auto")
    result = f"auto is {choose_precision('auto', device)} on this {device}"
    return Check("precision", "ok", result)


def _check_mmcv() -> Check:
    """Check whether mmcv has compiled operators or torchvision's operators are used instead."""
    if missing := _missing_of_mmdetection():
        result = (
            f"{', '.join(missing)} not installed; MMDetection's detectors cannot run, everything "
            "else can, also `orn detect --config torchvision/NAME` and --detector FILE.py:NAME"
        )
        return Check("mmcv", "warning", result, remedy="make setup")
    is_compiled = importlib.util.find_spec("mmcv._ext") is not None
    operators = "its own, compiled" if is_compiled else "torchvision's, not compiled"
    return Check("mmcv", "ok", f"operators: {operators}")


def _missing_of_mmdetection() -> list[str]:
    return [name for name in _MMDETECTION if not importlib.util.find_spec(name)]


def _check_weights() -> Check:
    """Check which published weights are here; the others are downloaded on first use."""
    from orn.shared.download import cache_folder, cached_path
    from orn.stage1_detect import choose_detector
    from orn.stage1_detect.torchvision_detector import NAMES
    from orn.stage2_train.model.backbones import weights_to_fetch
    from orn.stage2_train.model.image_backbone import PACKAGED
    from orn.stage2_train.settings.model_config import TIMM, WINDOWS
    from orn.stage2_train.training.initial_weights import IMAGENET_URLS

    detectors = [] if _missing_of_mmdetection() else [choose_detector.DEFAULT_CONFIG]
    detectors += NAMES
    is_here = {name: choose_detector.weights_to_fetch(name)[1] is None for name in detectors}
    is_here |= {name: cached_path(url).is_file() for name, url in IMAGENET_URLS.items()}
    backbones = (f"{TIMM}{PACKAGED}", *WINDOWS)
    is_here |= {name: weights_to_fetch(name) is None for name in backbones}
    here, absent = (
        ", ".join(name for name in is_here if is_here[name] == wanted) or "none"
        for wanted in (True, False)
    )
    result = f"here: {here}; downloaded on first use into {cache_folder()}: {absent}"
    return Check("weights", "ok", result)
