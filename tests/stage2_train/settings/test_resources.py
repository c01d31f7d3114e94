"""How many threads compute and on which device, that help is quick, and limits of options."""

import click
import pytest
import torch

from orn.cli import orn
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.settings import resources
from orn.stage2_train.settings.resources import Resources
from tests.running import run_orn


@pytest.mark.parametrize(
    ("asked", "variable", "workers", "jobs", "expected"),
    [
        (None, None, 0, 1, 8),
        (None, None, 3, 1, 5),
        (None, None, 9, 1, 1),
        (None, "2", 0, 1, 2),
        (None, "none", 0, 1, 8),
        (5, "2", 3, 4, 5),
    ],
)
def test_threads_are_the_cores_that_are_left(
    asked, variable, workers, jobs, expected, monkeypatch
) -> None:
    monkeypatch.setattr(resources, "usable_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert Resources(threads=asked, workers=workers).num_threads(jobs=jobs) == expected


def test_precision_may_differ_from_job_to_job() -> None:
    for precision, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        accelerator = build_accelerator(precision, "cpu")
        assert accelerator.device.type == "cpu"
        with accelerator.autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


@pytest.mark.parametrize("name", ["train", "eval", "clips", "detect", "export-objects"])
def test_numbers_have_limits(name: str) -> None:
    command = orn.get_command(click.Context(orn), name)
    words = [name, "demo", *(["out", "--format=coco"] if name == "export-objects" else [])]
    numbers = [param for param in command.params if param.metavar in ("INTEGER", "NUMBER", "N")]
    assert numbers
    for option in numbers:
        for value in ("1" + "0" * 23, "-1", "nan", "inf"):
            message = run_orn(*words, f"{option.opts[0]}={value}", exit_code=2).stderr
            assert f"'{option.opts[0]}': expected" in message
