"""Folders of an ablation in which files are damaged: a sentence each."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orn.shared.cli import orn
from orn.stage2_train.ablation.plan import AblationRun
from orn.stage2_train.ablation.rows import AblationRow
from orn.stage2_train.ablation.run_figures import read_run
from tests.worlds.films import make_workspace

MEASURED: dict[str, Any] = {
    "dataset": "demo",
    "metric": "top1",
    "num_segments": 100,
    "chance": 0.25,
    "two_heads": {"top1": 0.5, "segments": 3},
    "confusion": [[1]],
}
SETTINGS: dict[str, Any] = {
    "dataset": "tiny",
    "settings": ["a=1"],
    "recipe": "sha256:0",
    "detector": "x",
    "clip store": "none",
    "weights digest": None,
}
LINE = {"group": "train", "step": 5, "clips_per_second": 2.0, "seconds": 1.0, "loss": 1.0}


def run_in(folder: Path, measured: Any) -> AblationRun:
    """A run with this measurement."""
    folder.mkdir(exist_ok=True)
    (folder / "eval-test.json").write_text(json.dumps(measured))
    row = AblationRow(name="orn", title="", system="orn", backbone="resnet18")
    return AblationRun(row=row, seed=0, folder=folder)


def test_logs_with_other_things_than_numbers(tmp_path: Path) -> None:
    run = run_in(tmp_path, MEASURED)
    changes = (
        {"step": "9"},
        {"step": 10**400},
        {"clips_per_second": "x"},
        {"clips_per_second": float("inf")},
        {"seconds": float("nan")},
        {"loss": [1]},
        {"group": ["train"]},
    )
    (tmp_path / "metrics.jsonl").write_text(
        "".join(f"{json.dumps(LINE | change)}\n" for change in changes)
    )
    figures = read_run(run, split="test", floor=None).figures
    assert figures["", "steps"] == 5.0
    assert figures["", "clips_per_second"] == 2.0
    assert figures["", "seconds"] == 5.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "wanted what `orn ablate` wrote there"),
        ("", "wanted what `orn ablate` wrote there"),
        ("[]", "wanted what `orn ablate` wrote there"),
        (json.dumps(SETTINGS | {"settings": "a=1"}), "wanted what `orn ablate` wrote there"),
        (json.dumps(SETTINGS | {"settings": [1]}), "wanted what `orn ablate` wrote there"),
        (json.dumps(SETTINGS | {"settings": ["a"]}), "wanted what `orn ablate` wrote there"),
        (json.dumps(SETTINGS), "the job there is not the one asked for: "),
        (json.dumps(SETTINGS | {"commit": [1], "threads": {"a": "b"}}), "is not the one asked for"),
        (json.dumps(SETTINGS | {"dataset": json.loads("[" * 900 + "]" * 900)}), ""),
    ],
)
def test_settings(text: str, message: str, tiny_world: Any, tmp_path: Path) -> None:
    made = make_workspace(tiny_world, tmp_path)
    manifest = made.pop("manifest")
    flags = [part for name, value in made.items() if name != "--run" for part in (name, value)]
    out = tmp_path / "ablation"
    out.mkdir()
    (out / "settings.json").write_text(text)
    words = ["ablate", manifest, "--table", "2", "--systems", "orn", "--out", str(out), *flags]
    result = CliRunner().invoke(orn, words)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.splitlines()[-1].startswith("orn: error: ")
    assert [path.name for path in out.iterdir()] == ["settings.json"]
