"""What `orn run` and other commands never remove or change: files that are not theirs."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from orn.shared.errors import ConfigError
from orn.shared.jobs.outputs import begin_output_folder
from orn.stage2_train.runs.run_folder import RUN_MARKER, earlier_run
from orn.steps.open_pipeline import open_pipeline
from orn.steps.pipeline_config import PipelineConfig
from tests.running import run_orn
from tests.worlds.films import words_of
from tests.worlds.videos import write_gray

LOOK_ALIKE = (
    *("config.json", "settings.json", "plan.json", "clips.plan.json"),
    *("run.json", "all.toml", "fold-1.toml", "index.html", "shard-mine.zarr.zip", "report.html"),
)
"""Names of files that commands write, and that a user's file may have."""


def digest(folder: Path) -> str:
    """Return the digest of all names, links and contents below a folder."""
    hasher = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content = path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        hasher.update(f"{path.relative_to(folder)} {content!r}\n".encode())
    return hasher.hexdigest()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten videos with their manifest, and files of the user's with the names of results, in the
    current folder and in that of the videos."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    rows = ["video,label"]
    for number in range(10):
        write_gray(data / "mini" / "videos" / f"film{number}.mp4", 6)
        rows.append(f"film{number},{('open', 'close')[number % 2]}")
    (data / "mini" / "labels.csv").write_text("\n".join(rows) + "\n")
    run_orn("manifest", "new", data / "mini" / "labels.csv", "--folds", "2", "--data", data)
    for folder in (tmp_path, data, tmp_path / "mine"):
        folder.mkdir(exist_ok=True)
        for name in LOOK_ALIKE:
            (folder / name).write_text("{}")
    for name, target in (("link", "mine"), ("linked-run", "run")):
        Path(name).symlink_to(target)
    begin_output_folder(tmp_path / "run", RUN_MARKER)
    (tmp_path / "run" / "config.json").write_text("{}")
    return data


WORDS = ("run", "mini.toml", "--data", "data", "--config", "mask_rcnn_demo", "--run")


def test_a_run_begins_in_a_new_folder_or_its_own(data: Path) -> None:
    """And `--fresh` empties none behind a link, which may lead to another disk."""
    before = digest(data.parent)
    places = ("data", ".", "data/mini", "mine", "link")
    for words in (*places, *(f"{place} --fresh" for place in (*places, "linked-run"))):
        refused = run_orn(*WORDS, *words.split(), "--yes", exit_code=2).stderr
        expected = rf"{words.split()[0]}: expected .*choose a new name"
        assert re.search(expected, refused.splitlines()[-1]), words
    assert digest(data.parent) == before


@pytest.mark.parametrize("place", ["shards", "clips"])
def test_results_of_others_end_it_before_anything_is_removed(data: Path, place: str) -> None:
    """Also where the run folder is in order."""
    folder = data.parent / place / "mini"
    folder.parent.mkdir()
    (data.parent / "mine").rename(folder)
    before = digest(data.parent)
    for more in ("--yes", "--dry-run"):
        refused = run_orn(*WORDS, "run", "--fresh", more, exit_code=2).stderr
        assert f"{place}/mini: exp" in refused
    assert digest(data.parent) == before


def test_what_is_removed_is_listed_before_and_nothing_else_is(data, workspace) -> None:
    """The notes in a run folder stay, and a folder of theirs with the name of a fold."""
    run_orn("detect", "mini.toml", "--data", "data", "--config", "mask_rcnn_demo", "--limit", 2)
    run = Path(workspace["--run"] + "-of-mine")
    run_orn("train", *words_of(workspace | {"--run": str(run)}), "--max-steps", 1)
    (run / "notes.txt").write_text("mine")
    (run / "fold-9").mkdir()
    (run / "fold-9" / "config.json").write_text("{}")
    own = {
        name: workspace[name] for name in ("manifest", "--data", "--recipe", "--shards", "--clips")
    }
    run_orn("baseline", *words_of(own), "--out", run / "baseline")
    words = ("mini.toml", "--data", "data", "--config", "mask_rcnn_demo", "--run", run)
    listed = run_orn("run", *words, "--fresh", "--dry-run").stdout
    listed = " ".join(listed.split())
    assert re.search(rf"--fresh removes shards/mini \(\d files.*{run.name} \(\d+ files", listed)
    request = PipelineConfig(
        dataset="mini.toml", data_root=Path("data"), config="mask_rcnn_demo", run=run, fresh=True
    )
    pipeline, _ = open_pipeline(request)
    (run / "recipe.toml").write_text("")
    reading = replace(pipeline.train, recipe=str(run / "recipe.toml"))
    with pytest.raises(ConfigError, match="which this command reads"):
        replace(pipeline, train=reading).earlier()
    (run / "recipe.toml").unlink()
    for earlier in pipeline.earlier():
        earlier.remove()
    assert sorted(path.name for path in run.iterdir()) == ["fold-9", "notes.txt", "run.json"]
    assert (run / "fold-9" / "config.json").is_file()
    assert not list(Path("shards/mini").iterdir())
    assert not earlier_run(run).files
