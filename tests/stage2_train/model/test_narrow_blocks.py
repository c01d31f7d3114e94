"""Narrow blocks on a CPU without AVX-512, where a strided 1 x 1 convolution overwrites memory.

The faulty gradient (oneDNN#6035) ends the process or never returns, so each case has a process of
its own with a limit. The variables make any x86 CPU compute as one with AVX2 alone.
"""

import os
import subprocess
import sys

import pytest

AVX2_ONLY = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
LIMIT_SECONDS = 240

TRAIN_STAGES = """
import itertools

import torch
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.resnet_25d import Stage

torch.manual_seed(0)
for width, number, size, frames in itertools.product(
    (2, 4), (3, 4), ((8, 8), (13, 9), (28, 28)), (2, 8, 16)
):
    config = NetworkConfig(num_activities=2, backbone="resnet18", base_width=width)
    stage = Stage(config, number=number, stride=2)
    channels = stage.blocks[0].downsample.conv.in_channels
    feats = torch.randn(frames, channels, *size).to(memory_format=torch.channels_last)
    feats.requires_grad_()
    out = stage(feats, 2)
    out.backward(torch.randn_like(out))
print("trained")
"""


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_narrow_stages_train_without_avx512(threads) -> None:
    # Threads that wait asleep leave the processor to the tests beside this one.
    of_threads = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    environment = os.environ | AVX2_ONLY | of_threads
    process = subprocess.run(
        [sys.executable, "-c", TRAIN_STAGES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert (process.returncode, process.stdout) == (0, "trained\n"), process.stderr
