"""Steps that fit into a time, from rates that were written by hand."""

from pathlib import Path

import pytest

from orn.shared.errors import TrainingError
from orn.stage2_train.ablation import budget
from orn.stage2_train.ablation.budget import within_budget
from orn.stage2_train.ablation.plan import AblationRequest, AblationRun, planned_runs
from orn.stage2_train.ablation.rows import AblationRow
from orn.stage2_train.runs.run_folder import append_jsonl

ROWS = tuple(
    AblationRow(name=name, title=name, system=name, backbone="resnet18")
    for name in ("activity-head", "orn")
)
STEPS = {"activity-head": {"activity_head": 40}, "orn": {"object_head": 10, "two_heads": 30}}
SECONDS = {"activity_head": 2.0, "object_head": 8.0, "two_heads": 4.0}
"""Of four steps."""


@pytest.fixture
def sixty_seconds(tmp_path: Path, monkeypatch) -> AblationRequest:
    """Of 60 seconds, in a workspace whose trials are written and not trained."""

    def measured(trials, request, *, split, max_steps) -> None:
        for trial in trials:
            phase = trial.folder.name.removeprefix("rate-")
            for line, seconds in enumerate((99.0, *[SECONDS[phase]] * 4)):  # the first is slow
                append_jsonl(
                    trial.folder / "metrics.jsonl",
                    {"group": "train", "step": 4 * line + 4, "seconds": seconds},
                )

    def described(request) -> dict:
        return {"steps": STEPS[request.system]}

    monkeypatch.setattr(budget, "carry_out", measured)
    monkeypatch.setattr(budget, "describe_training", described)
    return AblationRequest(
        manifest="demo", table="2", out=tmp_path, recipe="demo", budget=60.0, seeds=(0, 1)
    )


def _lengths(runs: tuple[AblationRun, ...]) -> list[tuple[str, ...]]:
    return [run.overrides for run in runs]


def test_phases_keep_their_ratio(sixty_seconds) -> None:
    runs = within_budget(planned_runs(sixty_seconds, ROWS), sixty_seconds)
    one_head = ("phases.object_head_steps=0", "phases.steps=120")  # half a second a step
    # 10 steps of 2 s and 30 of 1 s are 50 s: both phases are longer by 60 / 50.
    both = ("phases.object_head_steps=12", "phases.steps=36")
    assert _lengths(runs) == [one_head, both, one_head, both]


def test_rates_that_were_measured_are_not_measured_again(sixty_seconds, monkeypatch) -> None:
    first = within_budget(planned_runs(sixty_seconds, ROWS), sixty_seconds)

    def none_left(trials, *args, **kwargs) -> None:
        assert not trials

    monkeypatch.setattr(budget, "carry_out", none_left)
    assert within_budget(planned_runs(sixty_seconds, ROWS), sixty_seconds) == first


def test_a_rate_that_is_missing_is_named(sixty_seconds, monkeypatch) -> None:
    monkeypatch.setattr(budget, "carry_out", lambda *args, **kwargs: None)
    with pytest.raises(TrainingError, match=r"rate-activity_head: wanted 5 lines with seconds"):
        within_budget(planned_runs(sixty_seconds, ROWS), sixty_seconds)
