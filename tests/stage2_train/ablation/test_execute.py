"""The commands that an ablation gives out."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.jobs.termination import Terminated
from stage2_train.ablation import execute
from stage2_train.ablation.execute import carry_out, train_command
from stage2_train.ablation.plan import AblationRequest, planned_runs
from stage2_train.ablation.rows import table_rows
from stage2_train.training.recipe import load_recipe


@pytest.mark.parametrize(
    ("table", "system", "overrides", "given"),
    [
        ("2", "orn", (), True),
        ("2", "activity-head", (), True),
        ("2", "coco-class-object-head", (), False),
        ("2", "object-head", (), True),
        ("2", "object-head", ('model.object_parts=["shape","class"]',), False),
        ("baselines", "i3d-18", (), True),
        ("baselines", "i3d", (), False),
        ("baselines", "c3d-avg", (), False),
    ],
)
def test_weights_of_a_resnet_go_only_to_networks_that_hold_one(
    table: str, system: str, overrides: tuple[str, ...], given: bool, tmp_path: Path
) -> None:
    recipe = load_recipe("demo", num_activities=2)
    request = AblationRequest(
        manifest="demo",
        table=table,
        out=tmp_path,
        data_root=tmp_path,
        recipe="demo",
        weights=tmp_path / "weights.pth",
        overrides=("initial_weights=imagenet", *overrides),
    )
    rows = table_rows(table, (system,), recipe)
    (run,) = planned_runs(request, rows, recipe_backbone="resnet18", seeds=(0,))
    assert ("--weights" in train_command(run, request)) == given


def test_sigterm_ends_the_trainings_that_run(tmp_path: Path, monkeypatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def endless(arguments: list[str], **options) -> subprocess.Popen[bytes]:
        started.append(real([sys.executable, "-c", "import signal; signal.pause()"], **options))
        os.kill(os.getpid(), signal.SIGTERM)
        return started[-1]

    monkeypatch.setattr(execute.subprocess, "Popen", endless)
    request = AblationRequest(manifest="demo", table="2", out=tmp_path, data_root=tmp_path)
    rows = table_rows("2", ("orn", "activity-head"), load_recipe("demo", num_activities=2))
    runs = planned_runs(request, rows, recipe_backbone="resnet18", seeds=(0,))
    try:
        with pytest.raises(Terminated):
            carry_out(runs, request, split="validation")
        assert [process.wait() for process in started] == [-signal.SIGTERM]
    finally:
        for process in started:
            process.kill()
