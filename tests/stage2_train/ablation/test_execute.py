"""How an ablation carries out its trainings."""

import os
import signal
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from orn.shared.errors import CheckpointError
from orn.shared.jobs.termination import Terminated
from orn.stage2_train.ablation import execute
from orn.stage2_train.ablation.execute import carry_out, train_request, weights_needed
from orn.stage2_train.ablation.plan import AblationRequest, planned_runs
from orn.stage2_train.ablation.rows import table_rows
from orn.stage2_train.model.image_weights import IMAGENET_URLS
from orn.stage2_train.recipe import load_recipe
from tests.weights_server import WeightsServer


def pause(*requests: object) -> None:
    """What a process does in place of a training."""
    signal.pause()


@pytest.mark.parametrize(
    ("table", "system", "overrides", "given"),
    [
        ("2", "orn", (), True),
        ("2", "coco-class-object-head", (), False),
        ("2", "object-head", (), True),
        ("2", "object-head", ('model.object_parts=["shape","class"]',), False),
        ("baselines", "i3d-18", (), True),
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
        recipe="demo",
        weights=tmp_path / "weights.pth",
        overrides=("initial_weights=imagenet", *overrides),
    )
    rows = table_rows(table, (system,), recipe)
    (run,) = planned_runs(request, rows, seeds=(0,))
    assert (train_request(run, request).weights is not None) == given


def test_weights_are_fetched_before_any_training_starts(
    tmp_path: Path, weights_host: WeightsServer, monkeypatch
) -> None:
    started: list[SpawnProcess] = []
    monkeypatch.setattr(SpawnProcess, "start", started.append)
    absent = f"{weights_host.address}/resnet18-0123abcd.pth"
    monkeypatch.setitem(IMAGENET_URLS, "resnet18", absent)
    overrides = ("initial_weights=imagenet", "model.backbone=resnet18")
    request = AblationRequest(manifest="demo", table="2", out=tmp_path, overrides=overrides)
    rows = table_rows("2", ("orn", "activity-head"), load_recipe("demo", num_activities=2))
    runs = planned_runs(request, rows, seeds=(0, 1))
    assert weights_needed(runs, request) == ("resnet18",)
    with pytest.raises(CheckpointError, match=f"{absent}.*404"):
        carry_out(runs, request, split="validation")
    assert (len(weights_host.requests), started) == (1, [])


def test_sigterm_ends_the_trainings_that_run(tmp_path: Path, monkeypatch, caplog) -> None:
    started: list[SpawnProcess] = []

    def start(process: SpawnProcess) -> None:
        real(process)
        started.append(process)
        os.kill(os.getpid(), signal.SIGTERM)

    real = SpawnProcess.start
    monkeypatch.setattr(SpawnProcess, "start", start)
    monkeypatch.setattr(execute, "_train_and_measure", pause)
    request = AblationRequest(manifest="demo", table="2", out=tmp_path)
    rows = table_rows("2", ("orn", "activity-head"), load_recipe("demo", num_activities=2))
    runs = planned_runs(request, rows, seeds=(0,))
    with pytest.raises(Terminated):
        carry_out(runs, request, split="validation")
    assert [process.exitcode for process in started] == [-signal.SIGTERM]
    assert "failed" not in caplog.text
