from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stage1_detect.mmdet.detector import load_detector

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
