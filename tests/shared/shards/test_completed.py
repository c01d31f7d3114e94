"""Which folder of shards was completed last."""

import os
from pathlib import Path

import pytest

from orn.shared.errors import PipelineError
from orn.shared.jobs.plan import Plan, Unit, UnitPart
from orn.shared.shards.completed import completed_last
from orn.shared.shards.files import shard_path


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(folder: str, *times: int | None) -> Path:
    """A plan with a unit for each time of change; None for a shard that is not there."""
    path = Path(folder)
    parts = (UnitPart(video_id="v", start=0, stop=None),)
    units = tuple(Unit(index=index, parts=parts) for index in range(len(times)))
    Plan(dataset=path.name, frames="all", units=units).save(path)
    for index, time in enumerate(times):
        if time is not None:
            shard_path(path, index).touch()
            os.utime(shard_path(path, index), (time, time))
    return path


def test_the_folder_with_the_newest_last_shard() -> None:
    make("shards/demo", 100, 500)
    make("shards/epic", 200, 600)
    make("shards/short/demo", 300)
    last = completed_last()
    assert (last.folder, last.plan.dataset) == (Path("shards/epic"), "epic")
    assert last.when.timestamp() == 600
    os.utime(shard_path(Path("shards/short/demo"), 0), (700, 700))
    assert completed_last().folder == Path("shards/short/demo")
    assert completed_last([Path("shards/demo")]).plan.dataset == "demo"


def test_what_lacks_shards_is_passed_over_and_named() -> None:
    make("shards/demo", 100)
    make("shards/epic", 900, None, None)
    make("shards/old", 950)
    Path("shards/old/plan.json").write_text("{")
    Path("shards/empty").mkdir()
    last = completed_last()
    assert last.plan.dataset == "demo"
    assert "passed over: shards/epic (1 of 3 shards)" in str(last)
    assert "passed over: shards/old (its plan.json" in str(last)
    assert "empty" not in str(last)


def test_nothing_is_complete() -> None:
    with pytest.raises(PipelineError, match=r"got none.*`make demo`"):
        completed_last()
    make("shards/epic", 900, None)
    with pytest.raises(PipelineError, match=r"got shards/epic \(1 of 2 shards\).*`make demo`"):
        completed_last()
