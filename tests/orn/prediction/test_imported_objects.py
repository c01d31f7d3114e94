"""`orn predict --objects`: new videos for a run on imported objects."""

import shutil
from pathlib import Path

import pytest

from tests.orn.prediction.conftest import Trained, predict, validation
from tests.running import LAPTOP, run_orn


@pytest.fixture
def on_imported(trained: Trained, tmp_path: Path) -> Trained:
    """A run on objects of a table, which lies beside it as `objects.csv`."""
    folder, table = trained.run.parent, tmp_path / "objects.csv"
    rows = ["video,frame,x1,y1,x2,y2,class,score"]
    for name in trained.videos:
        rows += [f"{name},{frame},{5 + frame},5,40,40,cup,0.9" for frame in range(8)]
    table.write_text("\n".join(rows))
    data = ("--data", trained.data)
    shards, run = tmp_path / "shards", tmp_path / "run"
    source = (folder / "tiny.toml", table, "--format", "csv", "--out", shards)
    run_orn("import-objects", *source, *data)
    places = ("--shards", shards, "--clips", trained.clips, "--run", run)
    recipe = ("--recipe", folder / "recipe.toml", "--max-steps", "2", *LAPTOP)
    run_orn("train", folder / "tiny.toml", *data, *places, *recipe)
    return Trained(
        run=run, shards=shards, data=trained.data, clips=trained.clips, videos=trained.videos
    )


def test_objects_are_matched_by_folder_and_name_of_a_video(on_imported, tmp_path: Path) -> None:
    """The table has the objects of film/N."""
    original = validation(on_imported)[0]
    source = ("--objects", tmp_path / "objects.csv", "--format", "csv")
    for folder in ("film", "a/film", "other"):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(original, tmp_path / folder)
    own, copy, other = (tmp_path / name / original.name for name in ("film", "a/film", "other"))
    output = predict(on_imported, own, *source, "--json", "--pairs", "2").stdout
    shards = ("--shards", on_imported.shards)
    assert output == predict(on_imported, own, *shards, "--json", "--pairs", "2").stdout
    refused = predict(on_imported, other, *source, exit_code=3).stderr
    assert f"got those of film/{original.stem}" in refused
    refused = predict(on_imported, own, copy, *source, exit_code=1).stderr
    assert f"{copy}: expected objects of its own" in refused and str(own) in refused
    unknown = own.rename(tmp_path / "unknown.mp4")
    assert "'unknown'" in predict(on_imported, unknown, *source, exit_code=3).stderr
    assert not list(tmp_path.glob("orn-predict-*"))


def test_an_exported_run_says_that_objects_must_be_given(on_imported, tmp_path: Path) -> None:
    run_orn("export", on_imported.run, tmp_path / "model")
    refused = run_orn("export", on_imported.run, on_imported.run, exit_code=2).stderr
    assert refused.count("\n") == 1 and "got a run" in refused
    refused = predict(on_imported, validation(on_imported)[0], exit_code=1).stderr
    assert "trained on imported objects" in refused and "predict:" not in refused
    card = (tmp_path / "model" / "README.md").read_text()
    assert "VIDEO.mp4 --objects FILE --format coco" in card and "detector's weights" not in card


def test_a_source_is_read_with_the_options_of_an_import(
    on_imported: Trained, tmp_path: Path
) -> None:
    """The same objects, in frames counted from 1, with some of a class that is left out."""
    video, table, classes = validation(on_imported)[0], tmp_path / "other.csv", tmp_path / "names"
    header, *rows = (tmp_path / "objects.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    moved = [",".join([name, str(int(frame) + 1), *rest]) for name, frame, *rest in cells]
    more = [row.replace("cup", "dog").replace(",5,40", ",9,40") for row in moved]
    table.write_text("\n".join([header, *moved, *more]))
    classes.write_text("cup\n")
    source = ("--objects", table, "--format", "csv", "--first-frame", 1, "--classes", classes)
    expected = ("--objects", tmp_path / "objects.csv", "--format", "csv")
    assert (
        predict(on_imported, video, *source, "--json").stdout
        == predict(on_imported, video, *expected, "--json").stdout
    )
    classes.write_text("cup\ncupp\n")
    refused = predict(on_imported, video, *source, exit_code=2).stderr
    assert f"--classes {classes}: expected classes of the network" in refused and "cupp" in refused
