"""What the folder of a run records, where its data is found again, and what is refused of it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from orn.shared.errors import ConfigError
from orn.stage2_train.runs.run_config import (
    DataPaths,
    RecordedPaths,
    RunConfig,
    check_same_run,
    read_config,
)
from orn.stage2_train.runs.trained import open_model
from tests.worlds.films import write_tiny_model
from tests.worlds.tables import write_table


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an exported run; read-only."""
    folder = tmp_path_factory.mktemp("model")
    write_tiny_model(folder)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model"))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    config, network = write_tiny_model(tmp_path)
    model = open_model(tmp_path, device="cpu")
    assert model.config == config == read_config(tmp_path)
    assert (model.phase, model.step, model.heads) == (1, 3, "both")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, model.network.state_dict()[name])


def paths_to(manifest: str, *folders: str) -> DataPaths:
    data_root, shards, clips = map(Path, folders)
    return DataPaths(manifest=manifest, data_root=data_root, shards=shards, clips=clips)


def test_data_is_found_where_it_was_or_where_it_was_moved_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever the command is called from; a copy reads its own data."""
    project, run = tmp_path / "project", Path("runs/a")
    for name in ("data/tiny", "shards/tiny", "clips/tiny"):
        (project / name).mkdir(parents=True)
    write_table(project, "tiny", ["video,label,split"], classes=("a", "b"))
    monkeypatch.chdir(project)
    paths = paths_to("tiny.toml", "data", "shards/tiny", "clips/tiny")
    write_tiny_model(project / run, recorded_paths=RecordedPaths.of(paths, run))
    monkeypatch.chdir("/")

    def detected(base: Path) -> list[str]:
        there = read_config(base / run).paths(base / run)
        assert there is not None
        return [there.manifest, *map(str, (there.data_root, there.shards, there.clips))]

    def below(base: Path) -> list[str]:
        return [str(base / path) for path in ("tiny.toml", "data", "shards/tiny", "clips/tiny")]

    assert detected(project) == below(project)
    copied = Path(shutil.copytree(project, tmp_path / "copied"))
    assert detected(copied) == below(copied)
    apart = Path(shutil.copytree(project / "runs", tmp_path / "apart" / "runs")).parent
    caplog.set_level("INFO")
    assert detected(apart) == detected(apart) == below(project)
    others = [record.getMessage() for record in caplog.records]
    assert len(others) == 4 and all(str(project) in line for line in others), others
    moved = project.rename(tmp_path / "moved")
    assert detected(moved) == below(moved)
    shutil.rmtree(moved / "shards")
    assert detected(moved)[2] == str(moved / "shards/tiny")  # for the message
    paths = replace(paths, manifest="demo")
    write_tiny_model(
        moved / run, recorded_paths=RecordedPaths.of(paths, moved / run), manifest="demo"
    )
    assert detected(moved)[0] == "demo"


@pytest.fixture
def config(folder: Path) -> RunConfig:
    paths = paths_to("demo", "data", "shards", "clips")
    return replace(read_config(folder), recorded_paths=RecordedPaths.of(paths, folder))


def test_places_and_names_may_change(config: RunConfig) -> None:
    places = RecordedPaths.of(paths_to("vlog", "elsewhere", "other", "x"), Path("run"))
    moved = replace(config, recipe_name="other", manifest="a.toml", recorded_paths=places)
    check_same_run(Path("run"), config, moved)


def test_differences_are_named(config: RunConfig) -> None:
    recipe = replace(config.recipe, optimizer=replace(config.recipe.optimizer, batch_size=3))
    changes = {
        "recipe": recipe,
        "dataset": replace(config.dataset, classes=("right", "left")),
        "detector": replace(config.detector, config_digest="sha256:9"),  # other imported masks
    }
    with pytest.raises(ConfigError) as caught:
        check_same_run(Path("run"), config, replace(config, **changes))
    for message in (
        "recipe.optimizer.batch_size is 2 as recorded, 3 as requested",
        "dataset.classes[1] is 'down' as recorded, 'left' as requested",
        "config_digest is 'sha256:0' as recorded, 'sha256:9' as requested",
    ):
        assert message in str(caught.value)
    with pytest.raises(ConfigError, match=r"exported.*change --run"):
        check_same_run(Path("run"), replace(config, recorded_paths=None), config)
