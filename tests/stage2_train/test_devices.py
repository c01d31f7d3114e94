"""Devices and precision."""

import pytest
import torch

from orn.shared.errors import ConfigError
from orn.stage2_train.devices import build_accelerator


def test_precision_may_differ_from_job_to_job() -> None:
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        accelerator = build_accelerator(precision, "cpu")
        assert accelerator.device.type == "cpu"
        with accelerator.autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cpu:1", ""])
def test_unknown_device(device) -> None:
    with pytest.raises(ConfigError, match=f"wanted auto, cpu, cuda or cuda:N, found '{device}'"):
        build_accelerator("fp32", device)


def test_device_that_is_not_there() -> None:
    number = torch.cuda.device_count() + 3
    with pytest.raises(ConfigError, match=rf"device cuda:{number}: this machine has \d+ CUDA"):
        build_accelerator("fp32", f"cuda:{number}")
