"""The precision of a run: `auto` follows the device, a run keeps its own."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.run_folder import read_jsonl
from orn.stage2_train.settings.recipe import clip_seconds, load_recipe, recipe_names
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


def test_doctor_and_dry_runs_name_the_precision(
    workspace: dict[str, str], monkeypatch: Any
) -> None:
    for is_fast, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(FAST, lambda device, fast=is_fast: fast)
        assert f"precision: auto is {precision}" in run_orn("doctor", exit_code=None).stdout
        words = (*words_of(workspace), "--set", "precision=auto", "--dry-run", "--json")
        assert f'precision = "{precision}"' in run_orn("train", *words).json["recipe"]


@pytest.mark.parametrize("name", recipe_names())
def test_estimates_follow_the_precision(name: str, monkeypatch: Any) -> None:
    """Except for recipes with a precision of their own; slow bf16 was not measured."""
    recipe = load_recipe(name, num_activities=2, clip_frames=4)
    seconds = {}
    for is_fast in (True, False):
        monkeypatch.setattr(FAST, lambda device, fast=is_fast: fast)
        seconds[is_fast] = clip_seconds(recipe, "train", 100, device="cpu")
    is_fixed = name in ("demo", "authors_vlog", "small")
    assert seconds[True] == seconds[False] if is_fixed else seconds[True] < seconds[False]
    slow = replace(recipe, precision="bf16")
    assert clip_seconds(slow, "train", 100, device="cpu") is None
