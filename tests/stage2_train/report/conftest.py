"""Tiny runs that were trained, and their reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.running import LAPTOP, run_orn
from tests.stage2_train.model.conftest import (  # noqa: F401
    make_batch,
    make_network,
    tiny_config,
)
from tests.worlds.films import make_workspace, words_of


@pytest.fixture(scope="session")
def train_tiny(tiny_world: Any) -> Callable[..., Path]:
    """Trains a step in a folder and gives the run's folder; `names` are those of both classes."""

    def train(
        folder: Path,
        *more: str,
        task: str = "single-label",
        metric: str = "top1",
        names: tuple[str, str] = ("right", "down"),
    ) -> Path:
        options = make_workspace(tiny_world, folder, task, metric)
        root = folder / "data" / "tiny"
        for file in (root / "labels.csv", root / "classes.txt"):
            text = file.read_text().replace("right", "{0}").replace("down", "{1}")
            file.write_text(text.format(*names))
        bf16 = ("--set", "precision=bf16")  # as in every recipe for real data
        run_orn("train", *words_of(options), "--max-steps", "4", *bf16, *more)
        return folder / "run"

    return train


@pytest.fixture(scope="session")
def reported(train_tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run with its report, measured before; read-only."""
    run = train_tiny(tmp_path_factory.mktemp("reported"))
    run_orn("eval", run, *LAPTOP)
    result = run_orn("report", run, *LAPTOP, "--json").json
    page = run / "report.html"
    assert (result["report"], result["bytes"]) == (str(page), page.stat().st_size)
    return run
