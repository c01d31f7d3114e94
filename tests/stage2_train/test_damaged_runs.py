"""Run folders in which files are damaged, through the command line: one sentence, no traceback."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from tests.worlds.films import make_workspace


@pytest.fixture(scope="module")
def trained(tiny_world: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Options of a training of one step."""
    options = make_workspace(tiny_world, tmp_path_factory.mktemp("trained"))
    result = CliRunner().invoke(orn, train_words(options, options["--run"], "--max-steps", "1"))
    assert result.exit_code == 0, result.output
    return options


def train_words(options: dict[str, str], run: str | Path, *more: str) -> list[str]:
    flags = {name: value for name, value in options.items() if name != "manifest"} | {
        "--run": str(run)
    }
    return ["train", options["manifest"], *(word for pair in flags.items() for word in pair), *more]


def flip(run: Path) -> None:
    content = bytearray((run / "last.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (run / "last.pt").write_bytes(content)


def change_state(**values: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        content = torch.load(run / "last.pt", weights_only=True)
        content["state"] |= values
        torch.save(content, run / "last.pt")

    return change


def pipe(name: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)

    return change


def link(run: Path) -> None:
    (run / "precious").write_text("mine\n")
    (run / "metrics.jsonl").unlink(missing_ok=True)
    (run / "metrics.jsonl").symlink_to(run / "precious")


def call(kind: str, options: dict[str, str], run: Path) -> Result:
    words = {
        "train": train_words(options, run, "--max-steps", "2"),
        "eval": ["eval", str(run), "--workers", "0", "--device", "cpu"],
        "export": ["model", "export", str(run), str(run / "out.pth")],
    }
    return CliRunner().invoke(orn, words[kind])


@pytest.mark.parametrize(
    ("kind", "damage", "message"),
    [
        ("train", flip, "last.pt: wanted a checkpoint of `orn train`, found a file that is d"),
        ("eval", change_state(phase=99), "one of the run's 2 phases, numbered from 0, found"),
        ("train", link, "metrics.jsonl: could not be written (Too many levels of symbolic links)"),
        ("export", pipe("best.pt"), "best.pt: wanted a file, found a pipe"),
    ],
)
def test_a_damaged_run(
    kind: str,
    damage: Callable[[Path], None],
    message: str,
    trained: dict[str, str],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained["--run"], run)
    damage(run)
    result = call(kind, trained, run)
    assert result.exit_code in (1, 2), result.output
    last = result.stderr.splitlines()[-1]
    assert last.startswith("orn: error: ")
    assert message in last
    if damage is link:
        assert (run / "precious").read_text() == "mine\n"


def test_a_damaged_log_is_no_reason_to_stop(trained: dict[str, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained["--run"], run)
    (run / "metrics.jsonl").write_text("[" * 9999 + '\n{"step": "1"}\n{"step": 9}\n{"st')
    (run / "starts.jsonl").write_text('{"time": 1}\n[1]')
    assert call("train", trained, run).exit_code == 0


def test_weights_that_overflow_are_not_measured(trained: dict[str, str], tmp_path: Path) -> None:
    """Each is a number, and what they give is none."""
    run = Path(shutil.copytree(trained["--run"], tmp_path / "run"))
    checkpoint = torch.load(run / "last.pt", weights_only=True)
    for tensor in checkpoint["model"].values():
        if tensor.is_floating_point():
            tensor.fill_(1e38)
    torch.save(checkpoint, run / "last.pt")
    (run / "best.pt").unlink(missing_ok=True)
    result = call("eval", trained, run)
    assert result.exit_code == 1, result.output
    assert re.search(r"run: \S+ and 3 more: expected finite logits of the", result.stderr)
    assert not [*run.glob("eval-*"), *run.glob("predictions-*")]
