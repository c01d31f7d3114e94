"""Training verifies each shard once, before its first step."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.shared.shards.column import write_group
from orn.shared.shards.verified import RECORD_NAME
from orn.shared.shards.zarr_zip import read_layout
from orn.stage2_train.training import prepare
from tests.shared.shards.conftest import arrays_in, columns_of
from tests.worlds.films import make_workspace


@pytest.fixture
def shards(tiny_world, tmp_path: Path) -> Path:
    """The folder of the shards, to change them."""
    new = shutil.ignore_patterns(RECORD_NAME)  # other tests may have verified the shared ones
    return Path(shutil.copytree(tiny_world.shards_path, tmp_path / "shards", ignore=new))


@pytest.fixture
def start(tiny_world, shards: Path, tmp_path: Path) -> Callable[..., Result]:
    """Trains for so many steps in tmp_path / "run"."""
    options = make_workspace(tiny_world, tmp_path) | {"--shards": str(shards)}
    manifest = options.pop("manifest")
    flags = [part for option in options.items() for part in option]

    def run(steps: int, *more: str) -> Result:
        arguments = ["train", manifest, *flags, "--max-steps", str(steps), *more]
        return CliRunner().invoke(orn, arguments)

    return run


def move_a_box(folder: Path) -> Path:
    """Leaves one mask outside its box, which only verification sees."""
    path = min(folder.glob("shard-*.zarr.zip"))
    arrays = arrays_in(path)
    arrays["boxes"][1] = (0, 0, 1, 1)
    write_group(path, columns=columns_of(arrays), attributes=read_layout(path)[0])
    return path


def test_shards_are_verified_before_the_first_step_and_never_again(
    start, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    whole = prepare.unverified

    def noted(paths: list[Path]) -> dict[Path, str]:
        found = whole(paths)
        asked.append(len(found))
        return found

    monkeypatch.setattr(prepare, "unverified", noted)
    assert start(1).exit_code == 0
    assert asked == [len(list(shards.glob("shard-*")))]
    assert (shards / RECORD_NAME).is_file()
    move_a_box(shards)
    assert start(2).exit_code == 0  # a training that goes on does not look again
    assert len(asked) == 1


def test_a_shard_that_is_wrong_ends_it_before_there_is_a_run(
    start, shards: Path, tmp_path: Path
) -> None:
    name = move_a_box(shards).name
    result = start(1)
    assert result.exit_code == 1
    assert f"{name}: array 'rle': detection 1 (video " in result.stderr
    assert "wanted a mask inside its box [0.0, 0.0, 1.0, 1.0], found" in result.stderr
    assert result.stderr.count("\n") < 5
    assert not (tmp_path / "run").exists()
    assert start(1, "--no-verify-shards").exit_code == 0
