"""Folders of an ablation in which files are damaged: a sentence each."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from shared.cli import orn
from shared.errors import CheckpointError
from stage2_train.ablation.plan import AblationRun
from stage2_train.ablation.results import read_run
from stage2_train.ablation.rows import table_rows
from stage2_train.recipe import load_recipe
from tests.stage2_train.tiny_workspace import make_workspace

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
    "weights": None,
}
DEEP = "[" * 100_000
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@given(key=st.sampled_from([*MEASURED, "activity_head", "x", ""]), value=ANY)
def test_any_measurement_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "measured"
    folder.mkdir(exist_ok=True)
    (folder / "eval-test.json").write_text(json.dumps(MEASURED | {key: value} if key else value))
    lines = [{"group": "train", "step": value, "clips_per_second": value, "loss": value}] * 20
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (row,) = table_rows("2", ("orn",), load_recipe("demo", num_activities=12))
    try:
        read_run(AblationRun(row=row, seed=0, folder=folder), split="test", floor=None)
    except CheckpointError as err:
        assert str(folder) in str(err)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEP, "wanted what `orn ablate` wrote there, found something else"),
        ("", "wanted what `orn ablate` wrote there, found something else"),
        ("[]", "wanted what `orn ablate` wrote there, found something else"),
        ("{}", "wanted what `orn ablate` wrote there, found something else"),
        (
            json.dumps(SETTINGS | {"settings": "a=1"}),
            "wanted what `orn ablate` wrote there, found something else",
        ),
        (
            json.dumps(SETTINGS | {"settings": [1]}),
            "wanted what `orn ablate` wrote there, found something else",
        ),
        (
            json.dumps(SETTINGS | {"settings": ["a"]}),
            "wanted what `orn ablate` wrote there, found something else",
        ),
        (json.dumps(SETTINGS), "the job there is not the one asked for: "),
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
    assert result.stderr.startswith("orn: error: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in out.iterdir()] == ["settings.json"]
