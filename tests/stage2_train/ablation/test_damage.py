"""Folders of an ablation in which files are damaged: a sentence each."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from shared.cli import orn
from shared.errors import CheckpointError, ConfigError, PipelineError
from stage2_train.ablation.curve import joined_curve
from stage2_train.ablation.plan import AblationRun
from stage2_train.ablation.report import ablation_report
from stage2_train.ablation.report_files import ablation_text, plot_report
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


def run_in(folder: Path, text: str) -> AblationRun:
    """A run with this text as its measurement."""
    (row,) = table_rows("2", ("orn",), load_recipe("demo", num_activities=12))
    folder.mkdir(exist_ok=True)
    (folder / "eval-test.json").write_text(text)
    return AblationRun(row=row, seed=0, folder=folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEP, "is not JSON that can be read (nested too deeply)"),
        ("", "is not JSON (Expecting value"),
        ("3", "wanted a table, found 3"),
        (json.dumps(MEASURED | {"chance": "1"}), "chance: wanted a number, found '1'"),
        (json.dumps(MEASURED | {"chance": float("nan")}), "chance: "),
        (json.dumps(MEASURED | {"num_segments": -1}), "num_segments: wanted at least 0, found -1"),
        (json.dumps(MEASURED | {"metric": "map"}), "wanted a head with 'map' from 0 to 1, found"),
        (json.dumps(MEASURED | {"two_heads": {"top1": "x"}}), "a head with 'top1' from 0 to 1"),
        (json.dumps(MEASURED | {"two_heads": {"top1": 1e300}}), "a head with 'top1' from 0 to 1"),
        (json.dumps(MEASURED | {"two_heads": None}), "wanted a head with 'top1' from 0 to 1"),
        (json.dumps({"dataset": "demo"}), "missing key 'metric'"),
    ],
)
def test_measurements(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        ablation_report([run_in(tmp_path, text)], split="test")
    assert str(caught.value).startswith(f"{tmp_path / 'eval-test.json'}: ")
    assert message in str(caught.value)
    assert str(caught.value).endswith("; remove it, and the run is measured again")


def test_logs_with_other_things_than_numbers(tmp_path: Path) -> None:
    lines = [
        {"group": "train", "step": "9", "clips_per_second": 3.0},
        {"group": "train", "step": 4, "clips_per_second": "x"},
        {"group": "train", "step": 5, "clips_per_second": 2.0},
        {"group": "train", "step": 6, "clips_per_second": float("inf")},
        {"group": "train"},
        {"group": ["train"]},
    ]
    run = run_in(tmp_path, json.dumps(MEASURED))
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (row,) = ablation_report([run], split="test")["systems"]
    assert (row["steps"], row["clips_per_second"]) == (6, 2.0)


@given(key=st.sampled_from([*MEASURED, "activity_head", "x", ""]), value=ANY)
def test_any_measurement_is_reported_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "measured"
    content = MEASURED | {key: value} if key else value
    try:
        report = ablation_report([run_in(folder, json.dumps(content))], split="test")
    except PipelineError:
        return
    ablation_text(report)


def test_the_picture_of_any_measurement(tmp_path: Path) -> None:
    run = run_in(tmp_path, json.dumps(MEASURED | {"chance": 0, "two_heads": {"top1": 1}}))
    report = ablation_report([run, replace(run, seed=1)], split="test")
    plot_report(report, tmp_path / "x.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEP, "is not JSON that can be read (nested too deeply)"),
        ("", "is not JSON (Expecting value"),
        ("[]", "wanted a table, found []"),
        ("{}", "missing key 'settings'"),
        (json.dumps(SETTINGS | {"settings": "a=1"}), "settings: "),
        (json.dumps(SETTINGS | {"settings": [1]}), "settings[0]: wanted a string, found 1"),
        (json.dumps(SETTINGS | {"settings": ["a"]}), "settings[0]: "),
        (json.dumps(SETTINGS), "the job there is not the one asked for: "),
        (json.dumps(SETTINGS | {"dataset": json.loads("[" * 900 + "]" * 900)}), "is nested too"),
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


@given(content=st.binary(max_size=40) | ANY.map(lambda value: json.dumps(value).encode()))
def test_any_report_is_joined_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "report.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="wanted the JSON report of `orn ablate`"):
        joined_curve("size", {"1": path, "2": path})


def test_a_report_that_is_nested_too_deeply(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(DEEP)
    with pytest.raises(ConfigError, match="nested too deeply"):
        joined_curve("size", dict.fromkeys("12", tmp_path / "report.json"))
