"""Where a manifest's data are: beside the table that it was made from, whoever reads it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orn.data_manifests.load import load_dataset
from orn.data_manifests.update import write_fold_manifests
from orn.stage2_train.report.report_view import update_command
from orn.stage2_train.settings.resources import DataPaths


@pytest.fixture
def project(tmp_path: Path, write, orn, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, two videos and their manifest, and with another folder of data."""
    folder = tmp_path / "project"
    for name in ("labels.csv", "a.mp4", "b.mp4"):
        write(folder / "kitchen" / name, "video,label\na,open\nb,close\n")
        write(tmp_path / "disk" / "kitchen" / name, "video,label\na,open\nb,close\n")
    (tmp_path / "disk" / "kitchen" / "a.mp4").unlink()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ORN_DATA", raising=False)
    orn("manifest", "new", "kitchen/labels.csv", "--folds", "2", exit_code=None)
    orn("manifest", "new", "kitchen/labels.csv")
    shutil.copy("kitchen/classes.txt", tmp_path / "disk" / "kitchen")
    return folder


@pytest.fixture
def present(orn) -> Callable[..., tuple[str, int]]:
    """Where `orn manifest check` looks, and how many videos it does not find there."""

    def check(manifest: str, *options: str) -> tuple[str, int]:
        found = orn("manifest", "check", manifest, *options, "--json", exit_code=None).json
        return found["root"], len(found["missing"])

    return check


def test_a_manifest_of_a_table_finds_its_data(project: Path, present, monkeypatch) -> None:
    assert present("kitchen.toml") == ("kitchen", 0)
    monkeypatch.setenv("ORN_DATA", "../disk")
    assert present("kitchen.toml") == ("kitchen", 0), "before ORN_DATA"
    assert present("kitchen.toml", "--data", "../disk") == ("../disk/kitchen", 1), "after --data"
    monkeypatch.chdir("..")
    assert present("project/kitchen.toml") == ("project/kitchen", 0), "from anywhere"
    shutil.copytree(project, "copy")
    assert present("copy/kitchen.toml") == ("copy/kitchen", 0), "a copy reads its own"


def test_copies_for_folds_read_the_same_data(project: Path) -> None:
    write_fold_manifests("kitchen.toml", [project / "runs" / "deep" / "split.toml"])
    videos = load_dataset("runs/deep/split.toml", None).videos
    assert [str(video.path) for video in videos] == ["kitchen/a.mp4", "kitchen/b.mp4"]


def test_the_command_of_a_report_corrects_the_table_itself(project: Path, orn) -> None:
    """Also in the report of folds, whose manifests are copies."""
    copy = project / "runs" / "deep" / "split.toml"
    write_fold_manifests("kitchen.toml", [copy])
    Path("corrections.csv").write_text("id,verdict,label\na,wrong,close\n")
    for manifest, left in (("kitchen.toml", None), (str(copy), None), (str(copy), "kitchen.toml")):
        paths = DataPaths(manifest=manifest, data_root=Path(), shards=Path(), clips=Path())
        if left is not None:
            Path(left).unlink()  # a manifest with another name
        command = update_command(paths, "corrections.csv")
        own = str(copy) if left else "kitchen/labels.csv"
        assert command == f"orn manifest update {own} --corrections corrections.csv"
        orn(*command.split()[1:])
        assert Path("kitchen/labels.csv").read_text() == "video,label\na,close\nb,close\n"
        Path("kitchen/labels.csv").write_text("video,label\na,open\nb,close\n")


def test_a_missing_table_names_the_key(project: Path, orn) -> None:
    shutil.move("kitchen", "gone")
    refused = orn("manifest", "check", "kitchen.toml", exit_code=1).stderr
    assert "data_root in kitchen.toml" in refused
    assert "ORN_DATA" not in refused
