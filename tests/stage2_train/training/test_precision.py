"""The precision of a run: `auto` follows the device, a run keeps its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from orn.shared.devices import choose_precision
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import read_jsonl
from tests.running import LAPTOP, run_orn
from tests.worlds.films import words_of

FAST = "orn.shared.devices._computes_bf16_fast"


@pytest.mark.parametrize(
    "variables",
    [
        {"ATEN_CPU_CAPABILITY": "avx2"},
        pytest.param({"ONEDNN_MAX_CPU_ISA": "AVX2"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_cpu_whose_bf16_instructions_are_hidden_takes_fp32(variables: dict[str, str]) -> None:
    code = "from orn.shared.devices import choose_precision as p; print(p('auto', 'cpu'))"
    words = [sys.executable, "-c", code]
    ran = subprocess.run(words, env=os.environ | variables, capture_output=True, check=True)
    assert ran.stdout == b"fp32\n"


@pytest.mark.parametrize(("bf16", "amx"), [(True, False), (False, True), (False, False)])
def test_auto_takes_bf16_where_a_cpu_has_instructions_for_it(bf16, amx, monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert choose_precision("auto", "cpu") == ("bf16" if bf16 or amx else "fp32")


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "fp32"), ((8, 0), "bf16")])
def test_auto_takes_bf16_on_a_gpu_with_instructions_for_it(
    capability, precision, monkeypatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", "cuda:0") == precision


@pytest.mark.parametrize(("is_fast", "precision"), [(True, "bf16"), (False, "fp32")])
def test_a_run_keeps_the_precision_of_its_first_machine(
    workspace: dict[str, str], is_fast: bool, precision: str, monkeypatch: Any, caplog: Any
) -> None:
    """Unless it asks for another one; an evaluation may fall back to fp32 and says so."""
    words = (*words_of(workspace), "--max-steps", "2", "--set")
    monkeypatch.setattr(FAST, lambda device: is_fast)
    run_orn("train", *words, "precision=auto")
    monkeypatch.setattr(FAST, lambda device: not is_fast)
    run_orn("train", *words, "precision=auto")
    run_orn("train", *words, "precision=fp32")
    run = Path(workspace["--run"])
    assert read_config(run).recipe.precision == precision
    starts = read_jsonl(run / "starts.jsonl")
    assert [start["precision"] for start in starts] == [precision, precision, "fp32"]
    caplog.clear()
    run_orn("eval", run, *LAPTOP)
    assert ("computing in fp32" in caplog.text) == is_fast
