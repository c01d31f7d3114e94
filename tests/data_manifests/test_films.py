"""Tables of intervals of long videos."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orn.data_manifests.films import overlaps, usual_rate
from orn.data_manifests.load import load_dataset, load_manifest
from orn.data_manifests.records import Segment
from orn.shared.time_ranges import TimeRange

TABLE = """video,start,stop,label
one.mp4,1,2,open
one.mp4,4,4.5,close
two.mp4,0,3,open
"""


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write, orn) -> Callable[..., str]:
    """Makes the manifest of a table of intervals; returns what was said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORN_DATA", raising=False)

    def run(text: str, *options: str, observed: str | None = None, exit_code: int = 0) -> str:
        write(tmp_path / "films" / "labels.csv", text)
        for video in ("one", "two", "quiet"):
            write(tmp_path / "films" / f"{video}.mp4")
        if observed is not None:
            write(tmp_path / "films" / "observed.csv", observed)
        asked = ("manifest", "new", "films/labels.csv", "--intervals", "--fresh", *options)
        return orn(*asked, exit_code=exit_code).stderr

    return run


def test_uncovered_times_are_a_class_of_their_own(new, tmp_path):
    new(TABLE)
    dataset = load_dataset("films.toml", tmp_path)
    assert dataset.classes == ("close", "open", "none")
    assert dataset.films is not None and dataset.films.background == "none"
    assert load_manifest("films.toml").kind == "intervals"


def test_a_class_called_none_does_not_become_background(new, tmp_path):
    new(TABLE + "two.mp4,5,6,none\n")
    assert load_dataset("films.toml", tmp_path).classes == ("close", "none", "open", "background")


def test_videos_without_intervals_are_listed_as_observed(new, tmp_path):
    observed = "video,start,stop\none.mp4,0,5\nquiet.mp4,,\n"
    new(TABLE + "two.mp4,4,5,close\n", "--folds", "3", observed=observed)
    dataset = load_dataset("films.toml", tmp_path)
    films = dataset.films
    assert [video.id for video in dataset.videos] == ["one.mp4", "two.mp4", "quiet.mp4"]
    assert films.observed["one.mp4"] == (TimeRange(0, 5),)
    tested = {
        video
        for fold in ("fold-1", "fold-2", "fold-3")
        for video, split in _of_fold(tmp_path, fold).films.split_of.items()
        if split == "test"
    }
    assert tested == {"one.mp4", "two.mp4", "quiet.mp4"}


def test_a_table_of_observed_videos_that_is_not_read_has_a_warning(new, tmp_path, write, orn):
    new(TABLE)
    assert "not read" not in orn("manifest", "check", "films.toml").stdout
    write(tmp_path / "films" / "observed.csv", "video,start,stop\nquiet.mp4,,\n")
    assert "observed.csv is not read" in orn("manifest", "check", "films.toml").stdout
    new(TABLE, observed="video,start,stop\nquiet.mp4,,\n")
    assert "not read" not in orn("manifest", "check", "films.toml").stdout


def test_films_without_a_row_have_a_warning(new, tmp_path, write, orn):
    new(TABLE)
    warned = orn("manifest", "check", "films.toml").stdout
    assert "1 film " in warned and "quiet.mp4" in warned and "two.mp4" not in warned
    write(tmp_path / "films" / "labels.txt")
    new(TABLE, observed="video,start,stop\none.mp4,,\nquiet.mp4,,\n")
    assert "quiet.mp4" not in orn("manifest", "check", "films.toml").stdout


def _of_fold(root: Path, fold: str):
    manifest = load_manifest("films.toml")
    labels = manifest.labels.model_copy(update={"split": fold})
    return load_dataset(manifest.model_copy(update={"labels": labels}), root)


def test_points_in_time_get_a_duration(new, tmp_path):
    new("video,start,stop,label\none.mp4,3,3,touch\none.mp4,0,0,touch\n")
    middle, first = load_dataset("films.toml", tmp_path).segments
    assert (middle.start_seconds, middle.stop_seconds) == pytest.approx((2.9, 3.1))
    assert (first.start_seconds, first.stop_seconds) == pytest.approx((0.0, 0.2))


def test_overlapping_intervals_make_a_table_multi_label(new, tmp_path):
    said = new(TABLE + "one.mp4,1.5,3,pour\n")
    dataset = load_dataset("films.toml", tmp_path)
    assert dataset.task == "multi-label" and dataset.classes == ("close", "open", "pour")
    assert "1 pair" in said and "2 and 5" in said and "--fresh" in said


def test_overlaps_of_one_label_are_not_several_labels(new, tmp_path):
    new(TABLE + "one.mp4,1.5,3,open\n")
    assert load_dataset("films.toml", tmp_path).task == "single-label"


def test_an_overlap_is_found_across_one_of_the_same_label(new, tmp_path):
    new(TABLE + "two.mp4,1,1.5,open\ntwo.mp4,2,2.5,close\n")
    assert load_dataset("films.toml", tmp_path).task == "multi-label"


@pytest.mark.parametrize(("start", "is_refused"), [(1.95, False), (1.8, True)])
def test_single_labels_must_not_overlap(new, tmp_path, write, orn, start, is_refused):
    new(TABLE)
    write(tmp_path / "films" / "labels.csv", TABLE + f"one.mp4,{start},3,close\n")
    checked = orn("manifest", "check", "films.toml", exit_code=None)
    assert (checked.exit_code == 1) == is_refused
    if is_refused:
        assert "one.mp4" in checked.stderr + checked.stdout


@pytest.mark.parametrize(
    "row",
    ["one.mp4,nan,2,open", "one.mp4,-1,2,open", "one.mp4,2,1,open", "one.mp4,,,open"],
)
def test_invalid_times_are_refused_in_one_line(new, row):
    said = new(TABLE + row + "\n", exit_code=1)
    assert len(said.strip().splitlines()) == 1 and "labels.csv" in said


@pytest.mark.parametrize(
    "row",
    [
        *("one.mp4,nan,2", "one.mp4,-1,2", "one.mp4,2,1", "one.mp4,2,2", "one.mp4,inf,"),
        *("one.mp4,1e400,", "one.mp4,a,b", ",1,2"),
    ],
)
def test_invalid_times_of_what_was_looked_at_are_refused_in_one_line(new, row):
    said = new(TABLE, observed=f"video,start,stop\n{row}\n", exit_code=1)
    assert len(said.strip().splitlines()) == 1 and "observed.csv" in said


def test_a_table_of_many_rows_is_read_and_one_overlap_in_it_is_found(new, tmp_path, write, orn):
    rows = [f"one.mp4,{at}.1,{at}.9,{('open', 'close')[at % 2]}" for at in range(100_000)]
    text = "video,start,stop,label\n" + "\n".join(rows)
    new(text + "\ntwo.mp4,1,2,open\n")
    assert len(load_dataset("films.toml", tmp_path).segments) == 100_001
    write(tmp_path / "films" / "labels.csv", text + "\none.mp4,50000.5,50000.8,close\n")
    checked = orn("manifest", "check", "films.toml", exit_code=1)
    (line,) = [own for own in checked.stdout.splitlines() if "problem" in own]
    assert "50000.1 to 50000.9" in line


def test_epic_has_a_manifest_of_intervals():
    manifest = load_manifest("epic-intervals")
    assert manifest.kind == "intervals" and manifest.labels == load_manifest("epic").labels


@pytest.mark.parametrize(("seconds", "rate"), [(0.6, 10), (4.0, 5), (60.0, 1)])
def test_the_usual_rate_follows_the_duration_of_intervals(seconds, rate):
    assert usual_rate([_interval("v", 0.0, seconds)]) == rate


def _interval(video: str, start: float, stop: float) -> Segment:
    times = {"start_seconds": float(start), "stop_seconds": float(stop)}
    return Segment(id=f"{start}", video_id=video, split="train", labels=(0,), **times)


def test_labels_outside_of_all_that_was_looked_at_are_refused(tmp_path, write, orn, monkeypatch):
    """Times in minutes in place of seconds."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "films" / "labels.csv", "video,start,stop,label\none.mp4,60,65,open\n")
    write(tmp_path / "films" / "one.mp4")
    write(tmp_path / "films" / "observed.csv", "video,start,stop\none.mp4,0,2\n")
    refused = orn("manifest", "new", "films/labels.csv", "--intervals", exit_code=1).stderr
    assert "60 to 65 s" in refused and "0 to 2 s" in refused


def test_overlaps_of_many_rows_are_found_in_linear_time():
    """Each interval overlaps all others; a list of all pairs would have five billion."""
    segments = [
        Segment(
            id=str(number),
            video_id="a",
            split="train",
            labels=(number,),
            start_seconds=number / 1e6,
            stop_seconds=1000.0 + number,
        )
        for number in range(100_000)
    ]
    assert sum(1 for _ in overlaps(segments)) == 99_999


@pytest.mark.parametrize(("stop", "is_overlap"), [(0.4, False), (0.400002, True)])
def test_an_overlap_of_exactly_the_bound_is_none(stop, is_overlap):
    """0.4 - 0.3 is more than 0.1 in binary numbers."""
    times = ((0.0, stop), (0.3, 0.9))
    segments = [
        Segment(
            id=str(label),
            video_id="a",
            split="train",
            labels=(label,),
            start_seconds=start,
            stop_seconds=end,
        )
        for label, (start, end) in enumerate(times)
    ]
    assert bool([*overlaps(segments)]) is is_overlap
