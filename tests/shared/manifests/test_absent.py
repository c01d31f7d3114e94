"""What is said about a data set that is not there."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from orn.shared.cli import orn
from orn.shared.errors import DataRootError
from orn.shared.manifests.load import load_dataset, load_manifest, require_videos

_TABLE = "annotations/EPIC_train_action_labels.csv"


@pytest.mark.parametrize("command", ["detect", "clips", "train"])
@pytest.mark.parametrize("there", ["", "data", "data/epic/videos/P01"])
def test_what_lies_where_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, there: str
) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(orn, [command, "epic"])
    assert result.exit_code == 1
    assert not (tmp_path / "clips").exists()
    for part in ("data_manifests/README.md", "--data FOLDER", "DATA=FOLDER"):
        assert part in result.stderr
    if command != "train" or "epic" not in there:  # which misses a table by its path
        for part in ("'epic'", _TABLE, "videos/{person}/{id}.MP4", str(tmp_path / "data/epic")):
            assert part in result.stderr


def test_listed_videos_that_are_not_there(tmp_path: Path) -> None:
    root = tmp_path / "kitchen"
    root.mkdir()
    (root / "labels.csv").write_text("video,label\n" + "".join(f"v{i},cut\n" for i in range(9)))
    (root / "classes.txt").write_text("cut\n")
    manifest = tmp_path / "kitchen.toml"
    text = load_manifest("demo").source.read_text()
    manifest.write_text(text.replace('"demo"', '"kitchen"').split("[split]")[0])
    with pytest.raises(DataRootError) as caught:
        require_videos(load_dataset(manifest, tmp_path), manifest, tmp_path)
    message = str(caught.value)
    assert "got none of 9 listed videos (v0, v1, v2, ...)" in message
    assert "docs/own_videos.md" in message


def test_a_generated_data_set_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(DataRootError, match="`make demo` or `orn demo world demo-long`"):
        load_dataset("demo-long", tmp_path)
