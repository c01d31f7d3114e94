from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from orn.shared.errors import DetectorError
from orn.stage1_detect.mmdet.detector import load_detector
from orn.stage1_detect.mmdet.model import Precision, check_precision, use_float32_of

pytestmark = pytest.mark.mmdet


@pytest.fixture
def tf32() -> Iterator[None]:
    """Turned on, and afterwards as it was."""
    flags = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [each.allow_tf32 for each in flags]
    for each in flags:
        each.allow_tf32 = True
    yield
    for each, value in zip(flags, before, strict=True):
        each.allow_tf32 = value


@pytest.mark.usefixtures("tf32")
def test_a_detector_turns_tf32_off(demo_config: Path, demo_checkpoint: Path) -> None:
    load_detector("cpu", config=demo_config, checkpoint=demo_checkpoint)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.usefixtures("tf32")
@pytest.mark.parametrize("is_wanted", [True, False])
def test_tf32_is_a_precision(is_wanted: bool) -> None:
    use_float32_of("tfloat32" if is_wanted else "float16-heads")
    assert torch.backends.cudnn.allow_tf32 is is_wanted
    assert torch.backends.cuda.matmul.allow_tf32 is is_wanted


@pytest.mark.parametrize("precision", ["tfloat32", "float16-heads"])
def test_a_gpu_is_asked_for(precision: Precision) -> None:
    with pytest.raises(DetectorError, match=rf"\({precision}\) needs a CUDA GPU"):
        check_precision(precision, torch.device("cpu"))
