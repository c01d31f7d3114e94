"""Which folder of shards was completed last."""

import os
from datetime import datetime
from pathlib import Path

import pytest

from orn.commands.newest_data import last_completed
from orn.shared.errors import PipelineError
from orn.shared.jobs.plan import Plan, Unit, UnitPart
from orn.shared.shards.shard_format import shard_path


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


def test_the_complete_folder_with_the_newest_last_shard() -> None:
    with pytest.raises(PipelineError, match=r"got none.*`make demo`"):
        last_completed()
    make("shards/half", 900, None, None)
    with pytest.raises(PipelineError, match=r"got shards/half \(1 of 3 shards\).*`make demo`"):
        last_completed()
    make("shards/demo", 100, 500)
    make("shards/epic", 200, 600)
    make("shards/short/demo", 300)
    (make("shards/old", 950) / "plan.json").write_text("{")
    Path("shards/empty").mkdir()
    folder, plan, line = last_completed()
    assert (folder, plan.dataset) == (Path("shards/epic"), "epic")
    assert f"{datetime.fromtimestamp(600):%Y-%m-%d %H:%M}" in line
    for incomplete in ("shards/half (1 of 3 shards)", "shards/old (its plan.json"):
        assert f"incomplete: {incomplete}" in line
    assert "empty" not in line
    os.utime(shard_path(Path("shards/short/demo"), 0), (700, 700))
    assert last_completed()[0] == Path("shards/short/demo")
    assert last_completed([Path("shards/demo")])[1].dataset == "demo"
