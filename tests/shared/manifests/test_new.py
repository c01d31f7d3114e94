"""A manifest from a table of one's own: what is guessed, and that it holds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.shared.manifests.load import load_dataset, load_manifest
from orn.shared.manifests.new import guess_table, guess_videos
from orn.shared.manifests.records import SPLITS


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a data set folder `kitchen` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORN_DATA", raising=False)
    (tmp_path / "kitchen").mkdir()
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(orn, ["manifest", *arguments])


def made(*arguments: str) -> dict[str, Any]:
    """What `orn manifest new` says it made, after `check` has agreed."""
    result = run("new", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    payload: dict[str, Any] = json.loads(result.stdout)
    checked = run("check", payload["manifest"], "--data", payload["data_root"])
    assert checked.exit_code == 0, checked.stdout + checked.stderr
    return payload


Write = Callable[..., Path]


def test_a_table_of_clips(here: Path, write: Write) -> None:
    write(here / "kitchen" / "labels.csv", "video,label\na/1,open\nb,close\nb2,open\n")
    for name in ("a/1", "b", "b2"):
        write(here / "kitchen" / "clips" / f"{name}.webm")
    found = made("kitchen/labels.csv")
    assert found["manifest"] == "kitchen.toml"
    assert (found["form"], found["task"], found["metric"]) == ("clips", "single-label", "top1")
    assert found["pattern"] == "clips/{id}.webm"
    assert found["videos"] == {"listed": 3, "present": 3}
    assert (here / "kitchen" / "classes.txt").read_text() == "close\nopen\n"
    dataset = load_dataset("kitchen.toml", here)
    assert [(each.video_id, each.labels) for each in dataset.segments] == [
        ("a/1", (1,)),
        ("b", (0,)),
        ("b2", (1,)),
    ]


def test_the_manifest_explains_itself(here: Path, write: Write) -> None:
    write(here / "kitchen" / "labels.csv", "video,label\na,open\n")
    write(here / "kitchen" / "a.mp4")
    made("kitchen/labels.csv")
    lines = (here / "kitchen.toml").read_text().splitlines()
    assert sum("#" in line for line in lines) >= 12
    assert '# "segments": start and stop' in (here / "kitchen.toml").read_text().replace(
        '"clips": a video is one clip. ', ""
    )


def test_segments_of_several_labels_and_splits(here: Path, write: Write) -> None:
    write(
        here / "kitchen" / "rows.csv",
        "video,start,stop,label,split\nday1,0,2.5,open;close,train\nday1,1,3,,validation\n",
    )
    write(here / "kitchen" / "day1.MP4")
    found = made("kitchen/rows.csv", "--name", "Our kitchen!", "--out", "sub/mine.toml")
    assert found["name"] == "Our-kitchen"
    assert found["manifest"] == "sub/mine.toml"
    assert (found["form"], found["task"], found["metric"]) == ("segments", "multi-label", "map")
    assert "task multi-label: 1 label with a ';', 1 empty" in found["guessed"]
    segments = load_dataset("sub/mine.toml", here).segments
    assert [(each.split, each.labels, each.stop_seconds) for each in segments] == [
        ("train", (0, 1), 2.5),
        ("validation", (), 3.0),
    ]


def test_folders_of_frames_want_a_rate(here: Path, write: Write) -> None:
    write(here / "kitchen" / "labels.csv", "video,label\n7,2\n12,10\n")
    for name in ("7", "12"):
        write(here / "kitchen" / "frames" / name / "0001.jpg")
    result = run("new", "kitchen/labels.csv")
    assert result.exit_code == 2
    assert "folders of frames, which do not tell their rate; say so with --rate" in result.stderr
    assert not (here / "kitchen.toml").exists()
    found = made("kitchen/labels.csv", "--rate", "59.94005994")
    assert (found["form"], found["pattern"]) == ("frames", "frames/{id}")
    assert load_manifest("kitchen.toml").videos.rate == 59.94005994
    assert (here / "kitchen" / "classes.txt").read_text() == "2\n10\n"  # numbers in their order
    named = made("kitchen/labels.csv", "--rate", "5", "--videos", "frames/{id}", "--fresh")
    assert named["form"] == "frames"


@pytest.mark.parametrize("pattern", [None, "v/{id}.mp4", "v/{id}", "later/{id}.mp4"])
def test_a_rate_of_files_is_refused(here: Path, write: Write, pattern: str | None) -> None:
    is_whole_name = pattern == "v/{id}"
    write(here / "kitchen" / "labels.csv", f"video,label\n{'7.mp4' if is_whole_name else '7'},a\n")
    write(here / "kitchen" / "v" / "7.mp4")
    chosen = () if pattern is None else ("--videos", pattern)
    result = run("new", "kitchen/labels.csv", "--rate", "30", *chosen)
    assert result.exit_code == 2
    assert "--rate is for folders of frames; videos are files here" in result.stderr
    assert not (here / "kitchen.toml").exists()


def test_a_rate_tells_folders_where_nothing_is_there_yet(here: Path, write: Write) -> None:
    write(here / "kitchen" / "labels.csv", "video,label\n7,a\n")
    result = run("new", "kitchen/labels.csv", "--rate", "30", "--videos", "frames/{id}", "--json")
    assert json.loads(result.stdout)["form"] == "frames"


def test_the_data_root_is_used_where_the_table_lies_in_it(here: Path, write: Write) -> None:
    write(here / "data" / "deep" / "er" / "t.csv", "video,label\na,x\n")
    write(here / "data" / "deep" / "er" / "v" / "a" / "clip.mp4")
    found = made("data/deep/er/t.csv")
    assert (found["data_root"], found["name"]) == ("data", "er")
    assert found["pattern"] == "v/{id}/clip.mp4"
    assert load_manifest("er.toml").root == "deep/er"


def test_names_with_marks_of_toml(here: Path, write: Write) -> None:
    folder = here / 'kit"chen \\ é#'
    write(folder / "la'b\"els.csv", 'video,label\n"a ""b",open\n')
    write(folder / 'a "b.mp4')
    assert made(str(folder / "la'b\"els.csv"))["videos"]["present"] == 1


def _kitchen(here: Path, write: Write, text: str) -> None:
    write(here / "kitchen" / "labels.csv", text)
    for line in text.splitlines()[1:]:
        write(here / "kitchen" / f"{line.split(',')[0]}.mp4")


def _splits(here: Path, manifest: str = "kitchen.toml") -> dict[str, str]:
    segments = load_dataset(manifest, here).segments
    found = {each.video_id: each.split for each in segments}
    assert all(found[each.video_id] == each.split for each in segments)
    return found


def test_a_split_is_drawn_and_kept(here: Path, write: Write) -> None:
    rows = [f"v{number},{'open' if number % 2 else 'close'}" for number in range(20)]
    _kitchen(here, write, "\n".join(["video,label", *rows]))
    assert "--split 80/10/10" in run("new", "kitchen/labels.csv").stderr, "the hint"
    found = made("kitchen/labels.csv", "--split", "80/10/10", "--seed", "3", "--fresh")
    first = _splits(here)
    assert [list(first.values()).count(each) for each in SPLITS] == [16, 2, 2]
    assert found["split_file"] == str(here / "kitchen" / "split.csv")

    _kitchen(here, write, "\n".join(["video,label", *reversed(rows)]))
    made("kitchen/labels.csv", "--split", "80/10/10", "--seed", "3", "--fresh")
    assert _splits(here) == first, "the same seed, rows in another order"
    made("kitchen/labels.csv", "--split", "80/20", "--seed", "4", "--name", "other")
    other = _splits(here, "other.toml")
    assert [list(other.values()).count(each) for each in SPLITS] == [16, 4, 0]
    assert _splits(here) == first, "another manifest has a split of its own"


def test_rows_that_are_added_move_no_video(here: Path, write: Write) -> None:
    rows = [f"v{number},open" for number in range(10)]
    _kitchen(here, write, "\n".join(["video,label", *rows]))
    made("kitchen/labels.csv", "--split", "80/20")
    first = _splits(here)
    _kitchen(here, write, "\n".join(["video,label", "new,open", *rows]))
    refused = run("check", "kitchen.toml", "--data", ".")
    assert (refused.exit_code, "line 2: " in refused.stderr) == (1, True)
    assert "'new' in split.csv, got none; add one, such as new,train" in refused.stderr
    with (here / "kitchen" / "split.csv").open("a") as file:
        file.write("new,val\n")
    assert _splits(here) == {**first, "new": "validation"}


def test_groups_and_segments_of_one_video_stay_together(here: Path, write: Write) -> None:
    rows = [
        f"v{video},{start},{start + 1},{'open' if start else 'close'},p{video // 2}"
        for video in range(12)
        for start in range(2)
    ]
    _kitchen(here, write, "\n".join(["video,start,stop,label,person", *rows]))
    made("kitchen/labels.csv", "--split", "60/20/20", "--group", "person")
    found = _splits(here)
    assert all(found[f"v{video}"] == found[f"v{video + 1}"] for video in range(0, 12, 2))
    assert {list(found.values()).count(each) for each in ("validation", "test")} == {2}


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("video,label\na,x\nb,x\n", "80/10", "add up to 100, such as 80/10/10 or 80/20"),
        ("video,label\na,x\nb,x\n", "100/0", "add up to 100"),
        ("video,label\na,x\nb,x\n", "most", "got 'most'"),
        ("video,label\na,x\nb,x\n", "", "got ''"),
        ("video,label\na,x\nb,x\n", "80/10/10", "expected at least 3 values of 'video'"),
        ("video,label,split\na,x,train\nb,x,val\n", "80/20", "leave --split out"),
        ("video,label\na,x\nb,x\n", "80/20 --group person", "wanted a column 'person'"),
        (
            "video,start,stop,label,of\na,0,1,x,1\na,1,2,x,2\nb,0,1,x,\n",
            "80/20 --group of",
            "line 3: expected one of for all rows of video 'a', got '1' and '2'; give all the "
            "same; line 4: expected a of, got nothing; fill the cell in",
        ),
    ],
)
def test_splits_that_cannot_be_drawn(
    here: Path, write: Write, table: str, options: str, message: str
) -> None:
    _kitchen(here, write, table)
    result = run("new", "kitchen/labels.csv", "--split", *options.split(" "))
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert not (here / "kitchen.toml").exists()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        pytest.param("küche", "küche", id="composed"),
        pytest.param("ku\u0308che", "küche", id="decomposed, as macOS writes it"),
        pytest.param("кухня_2", "кухня_2", id="Cyrillic"),
        pytest.param("हिन्दी", "हिन्दी", id="letters with marks"),
        pytest.param("my kitchen", "my-kitchen", id="a blank"),
        pytest.param("厨" * 40, "厨" * 33, id="long: a hundred bytes at most"),
    ],
)
def test_names_of_any_script_are_kept(here: Path, write: Write, folder: str, name: str) -> None:
    write(here / folder / "labels.csv", "video,label\na,open\n")
    write(here / folder / "a.mp4")
    found = made(f"{folder}/labels.csv")
    assert (found["name"], found["manifest"]) == (name, f"{name}.toml")
    assert load_dataset(f"{name}.toml", here).name == name


def test_nothing_is_replaced_unasked(here: Path, write: Write) -> None:
    write(here / "kitchen" / "labels.csv", "video,label\na,x\n")
    write(here / "kitchen" / "a.mp4")
    write(here / "kitchen.toml", "mine")
    write(here / "kitchen" / "classes.txt", "kept\n")
    for existing in ("kitchen.toml", "classes.txt"):
        result = run("new", "kitchen/labels.csv")
        assert result.exit_code == 2
        assert f"{existing}: is there already and says something else" in result.stderr
        assert (here / "kitchen" / "classes.txt").read_text() == "kept\n"
        (here / "kitchen.toml").unlink(missing_ok=True)
    made("kitchen/labels.csv", "--fresh")
    assert (here / "kitchen" / "classes.txt").read_text() == "x\n"


def test_another_manifest_of_the_same_table_is_advised_and_works(here: Path, write: Write) -> None:
    write(here / "kitchen" / "labels.csv", "video,label\na,x\n")
    write(here / "kitchen" / "a.mp4")
    made("kitchen/labels.csv")
    assert made("kitchen/labels.csv")["manifest"] == "kitchen.toml"  # nothing would change
    assert made("kitchen/labels.csv", "--out", "again.toml")["name"] == "kitchen"
    write(here / "kitchen" / "labels.csv", "video,label\na,y\n")
    for options in ((), ("--out", "third.toml")):
        refused = run("new", "kitchen/labels.csv", *options)
        assert (refused.exit_code, "--name NAME" in refused.stderr) == (2, True)
    assert made("kitchen/labels.csv", "--name", "other")["manifest"] == "other.toml"
    assert (here / "kitchen" / "classes.txt").read_text() == "x\n"
    assert load_dataset("other.toml", here).classes == ("y",)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("split.csv", ("--split", "80/20")),
        ("classes.txt", ()),
        ("t.csv", ("--out", "kitchen/t.csv")),
    ],
)
def test_the_table_is_never_replaced(
    here: Path, write: Write, name: str, options: tuple[str, ...]
) -> None:
    table = write(here / "kitchen" / name, "video,label\na,x\nb,x\n")
    for video in "ab":
        write(here / "kitchen" / f"{video}.mp4")
    result = run("new", f"kitchen/{name}", *options, "--fresh")
    assert (result.exit_code, f"kitchen/{name}: " in result.stderr) == (2, True)
    assert "this command reads" in result.stderr
    assert table.read_text() == "video,label\na,x\nb,x\n"
    made(f"kitchen/{name}", *options[:2], "--name", "other", "--out", "other.toml")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("clip,label\na,x\n", "wanted a column 'video', found clip, label"),
        ("video,label\n", "wanted a row for each clip or segment"),
        ("video,label,stopp\na,x,1\n", "unknown column 'stopp'; the nearest is 'stop'"),
        ("video,label\n../a,x\n", "would leave the data set's folder"),
        ("video,label,start,stop\na,x,3,2\n", "wanted stop after start"),
        ("video,label,split\na,x,trian\n", "unknown split 'trian'; the nearest is 'train'"),
        ("video,label\na,x\na,x\n", "segment 'a' is listed before"),
        ("video,label\na,;\n", "wanted class names in the column 'label', found none"),
        ('video,label\na,"x\ny"\n', "wanted a class name on one line"),
    ],
)
def test_tables_that_cannot_be_used(here: Path, write: Write, table: str, message: str) -> None:
    path = write(here / "kitchen" / "labels.csv", table)
    write(here / "kitchen" / "a.mp4")
    result = run("new", str(path), "--videos", "{id}.mp4")
    assert result.exit_code == 1
    assert message in result.stderr
    assert sorted(each.name for each in here.rglob("*")) == ["a.mp4", "kitchen", "labels.csv"]


def test_videos_that_are_nowhere(here: Path, write: Write) -> None:
    write(here / "kitchen" / "labels.csv", "video,label\na,x\n")
    result = run("new", "kitchen/labels.csv")
    assert result.exit_code == 1
    assert "no video of 'a' or the next ids is below" in result.stderr
    wrong = run("new", "kitchen/labels.csv", "--videos", "videos/a.mp4")
    assert "wanted a path with {id} in it" in wrong.stderr
    found = run("new", "kitchen/labels.csv", "--videos", "videos/{id}.mp4", "--json")
    assert json.loads(found.stdout)["videos"] == {"listed": 1, "present": 0}


def test_the_pattern_that_finds_most_is_taken(tmp_path: Path, write: Write) -> None:
    for name in ("old/1.avi", "new/1.mp4", "new/2.mp4", "new/1/2.mp4", "new/11.mp4", "x/1.txt"):
        write(tmp_path / name)
    assert guess_videos(tmp_path, ["1", "2", "3"]) == ("new/{id}.mp4", False)
    assert guess_videos(tmp_path, ["5"]) is None


def test_ids_with_their_suffix(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "v" / "a.b.mp4")
    assert guess_videos(tmp_path, ["a.b.mp4"]) == ("v/{id}", False)


def test_times_of_some_rows_only(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "t.csv", "video,label,start,stop\na,x,,\nb,x,1,2\n")
    guess = guess_table(path)
    assert not guess.has_times
    assert "not every row has start and stop" in guess.reasons[1]
