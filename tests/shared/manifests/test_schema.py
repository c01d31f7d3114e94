"""Manifest files: what is refused, and in which words."""

from pathlib import Path

import pytest

from orn.shared.errors import ManifestError
from orn.shared.manifests.load import load_manifest


def parse(mine: Path, old: str, new: str):
    text = mine.read_text()
    assert old in text
    mine.write_text(text.replace(old, new, 1))
    return load_manifest(mine)


def test_manifest_is_read(mine: Path) -> None:
    manifest = load_manifest(mine)
    assert manifest.name == "mine"
    assert manifest.source == mine
    assert manifest.videos.pattern == "videos/{id}.mp4"
    assert manifest.labels.format == "table"
    assert manifest.detector.config is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "clip_frames =",
            "clip_frame =",
            "unknown key 'clip_frame'; the nearest valid one is 'clip_frames'",
        ),
        (
            "pattern =",
            "patern =",
            "unknown key 'videos.patern'; the nearest valid one is 'videos.pattern'",
        ),
        (
            "table = ",
            "tabel = ",
            "unknown key 'labels.tabel'; the nearest valid one is 'labels.table'",
        ),
        (
            "column = ",
            "colum = ",
            "unknown key 'split.colum'; the nearest valid one is 'split.column'",
        ),
        ("[videos]", "[video]", "unknown key 'video'; the nearest valid one is 'videos'"),
        ('name = "mine"', "", "missing key 'name'"),
        ('table = "labels.csv"', "", "missing key 'labels.table'"),
        ('format = "table"', "", "missing key 'labels.format'"),
        (
            '"table"',
            '"tabel"',
            "labels.format: wanted one of 'table', 'vlog', 'epic', 'epic100', 'something', "
            "'something-v1', found 'tabel'; did you mean 'table'?",
        ),
        (
            '"single-label"',
            '"single"',
            "task: wanted one of 'single-label', 'multi-label', found 'single'; did you mean "
            "'single-label'?",
        ),
        (
            '"clips"',
            '"clip"',
            "wanted one of 'clips', 'segments', 'frames', found 'clip'; did you mean 'clips'?",
        ),
        (
            "clip_frames = 4",
            "clip_frames = 'four'",
            "clip_frames: wanted a whole number, found 'four'",
        ),
        (
            "clip_frames = 4",
            "clip_frames = 0",
            "clip_frames: wanted at least 1, found 0",
        ),
        (
            'rule = "column"\ncolumn = "split"',
            'rule = "person"',
            "labels of format 'table' want split.rule = 'column', found 'person'",
        ),
        (
            '"single-label"',
            '"multi-label"',
            "metric: expected 'map' for task 'multi-label', got 'top1'",
        ),
        ('"top1"', '"map"', "metric: expected 'top1' for task 'single-label', got 'map'"),
        ('"clips"', '"frames"', "videos.rate (or videos.rate_table) is wanted for"),
        (
            "[labels]",
            "rate = 25.0\n[labels]",
            "is wanted for form 'frames' and for no other",
        ),
        (
            'name = "mine"',
            'name = "mi ne"',
            "name: wanted letters, digits, - and _ only, found 'mi ne'",
        ),
        ('name = "mine"', "name = ", "is not a TOML file"),
        (
            "clip_frames = 4",
            'clip_frames = 4\nflipped_classes = [["in", "out"], ["up", "in"]]',
            "flipped_classes: wanted each class once, found 'in' twice",
        ),
        ("clip_frames = 4", "clip_frames = nan", "clip_frames: wanted a whole number, found nan"),
        ("clip_frames = 4", f"clip_frames = {10**30}", "clip_frames: wanted at most 1000, found 1"),
        ("clip_frames = 4", f"clip_frames = {'[' * 9000}", "(nested too deeply)"),
        ("clip_frames = 4", f"clip_frames{'.x' * 2000} = 4", "nested too deeply"),
    ],
)
def test_refusals(mine: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(mine, old, new)
    assert str(caught.value).startswith(f"{mine}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("path", ["/etc", "../other", "a/../../b", "", "a\\u0000b", "a\\nb"])
@pytest.mark.parametrize(
    "old", ['root = "mine"', 'table = "labels.csv"', 'classes = "classes.txt"']
)
def test_paths_that_would_leave_the_data_root_are_refused(mine: Path, old: str, path: str) -> None:
    key = old.partition(" ")[0]
    with pytest.raises(ManifestError, match=f"{key}: wanted a path"):
        parse(mine, old, f'{key} = "{path}"')


@pytest.mark.parametrize(
    "pattern",
    [
        "/videos/{id}.mp4",
        "../{id}.mp4",
        "videos/x.mp4",
        "{id.real}",
        "{id}/{other}",
        "{id}{",
        "{}{id}",
    ],
)
def test_patterns_that_are_refused(mine: Path, pattern: str) -> None:
    with pytest.raises(ManifestError, match=r"videos\.pattern: wanted a path"):
        parse(mine, "videos/{id}.mp4", pattern)


def test_every_problem_is_named(mine: Path) -> None:
    with pytest.raises(ManifestError, match=r"'form'.*'task'|'task'.*'form'"):
        parse(mine, 'form = "clips"\ntask = "single-label"', "")


@pytest.mark.parametrize("config", ["x.py", "../x.py", "folder/name", ""])
def test_a_detector_of_python_is_refused(mine: Path, config: str) -> None:
    with pytest.raises(ManifestError, match=r"detector\.config: wanted the name .* --config"):
        parse(mine, "[split]", f'[detector]\nconfig = "{config}"\n[split]')


def test_weights_are_refused_out_of_their_folder(mine: Path) -> None:
    with pytest.raises(ManifestError, match=r"detector\.checkpoint: wanted a path inside"):
        parse(mine, "[split]", '[detector]\ncheckpoint = "../x.pth"\n[split]')


@pytest.mark.parametrize("numbers", ["train = [1, 3]", "test = [0, 1]"])
def test_a_number_belongs_to_one_split(mine: Path, numbers: str) -> None:
    with pytest.raises(ManifestError, match="wanted each number in one split only"):
        parse(mine, 'rule = "column"\ncolumn = "split"', f'rule = "number"\n{numbers}')
