"""What headers of videos tell before a run: uncovered parts, and the number of windows."""

from pathlib import Path
from typing import Any

import pytest

from orn.data_manifests.check import check_dataset
from orn.steps.estimate import with_work
from orn.steps.open_pipeline import open_pipeline
from orn.steps.pipeline import pipeline_steps
from orn.steps.pipeline_config import PipelineConfig
from tests.worlds.videos import write_gray

NAMES = [f"film{number}.mp4" for number in range(6)]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Opens a run on films of 6 seconds, each with an interval from 1 s on."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        write_gray(tmp_path / "films" / name, 60)

    def run(stop: float, **options: Any) -> Any:
        rows = [f"{name},1,{stop},{('open', 'close')[row % 2]}" for row, name in enumerate(NAMES)]
        table = Path("films/labels.csv")
        table.write_text("\n".join(["video,start,stop,label", *rows]) + "\n")
        return open_pipeline(PipelineConfig(dataset=str(table), recipe="small", **options))

    return run


@pytest.mark.parametrize(
    ("stop", "options", "is_advised"),
    [(2, {}, True), (5, {}, False), (2, {"intervals": True}, False)],
)
def test_a_table_that_covers_little_is_told_how_to_find_times(opened, stop, options, is_advised):
    pipeline, _ = opened(stop, folds=2, **options)
    advised = [line for line in pipeline.advice if "--intervals" in line]
    assert len(advised) == is_advised
    if is_advised:
        assert "17%" in advised[0] and "\n" not in advised[0]


def test_the_estimate_counts_windows_and_films(opened):
    pipeline, dataset = opened(2, folds=2, intervals=True)
    steps = with_work(pipeline_steps(pipeline), pipeline, dataset)
    work = {step.name: step.work for step in steps}
    times = round(6 * dataset.films.rate)
    assert work["eval-fold-1"] == f"{3 * times} windows of 3 films"
    assert work["baseline-fold-1"] == f"{6 * times} windows of 6 films"


def test_a_check_counts_films_and_intervals(opened):
    opened(2, intervals=True)
    checked = check_dataset("films.toml", None)
    assert checked["intervals"] == 6 and "segments" not in checked
    assert sum(own["present"] for own in checked["splits"].values()) == 6
    assert not any("none" in line for line in checked["warnings"])
