"""Where videos lie: files of listed ids are found, and looked at before they are opened."""

from pathlib import Path

import pytest

from orn.data_manifests.find_videos import FoundVideo, find_videos, read_headers
from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Video
from tests.bounded import bounded
from tests.data_manifests.conftest import MANIFEST
from tests.worlds.videos import write_gray

FRAMES = MANIFEST.replace('"clips"', '"frames"').replace("{id}.mp4", "{id}")
FRAMES = FRAMES.replace("[videos]", "[videos]\nrate = 10")
PLACES = ("", "/a", "/a.mp4", "/a/1.jpg")


@pytest.mark.parametrize(
    ("there", "listed", "names"),
    [
        pytest.param(["x/a"], ["x/a", "x/b", "y/a"], {"x/a": "x/a"}, id="exact name"),
        pytest.param(["o/A"], ["O/a"], {"O/a": "o/A"}, id="other case"),
        pytest.param(["o/a", "O/a"], ["O/a"], {"O/a": "O/a"}, id="exact before other case"),
        pytest.param(["O/b", "o/a"], ["O/a"], {"O/a": "o/a"}, id="the exact folder lacks the file"),
        pytest.param(["abc"], ["Abc", "aBc"], {}, id="two ids of other case"),
        pytest.param(["a"], ["x" * 999], {}, id="a name that no disk can hold"),
    ],
)
def test_names_on_disk(tmp_path, write, caplog, there, listed, names) -> None:
    for name in there:
        write(tmp_path / "videos" / f"{name}.mp4")
    expected = {
        video_id: FoundVideo(
            path=str(tmp_path / "videos" / f"{name}.mp4"), ignoring_case=name != video_id
        )
        for video_id, name in names.items()
    }
    assert find_videos(tmp_path, "videos/{id}.mp4", listed, are_folders=False) == expected
    is_claimed = len(listed) > len(names) and len(there) == 1 and len(listed) == 2
    assert ("is not used for video" in caplog.text) == is_claimed


@pytest.fixture
def root(tmp_path: Path, write) -> Path:
    """A data root with a data set of one's own without videos."""
    write(tmp_path / "root" / "mine" / "labels.csv", "video,label,split\na,open,train\n")
    write(tmp_path / "root" / "mine" / "classes.txt", "open\n")
    (tmp_path / "root" / "mine" / "videos").mkdir()
    return tmp_path / "root"


def video(root: Path, *, manifest: str = MANIFEST) -> Video:
    """The only video of the data set."""
    path = root.parent / "m.toml"
    path.write_text(manifest)
    (first,) = load_dataset(path, root).videos
    return first


@pytest.mark.parametrize("place", [".", "mine", *(f"mine/videos{suffix}" for suffix in PLACES)])
@pytest.mark.parametrize("manifest", [MANIFEST, FRAMES, MANIFEST.replace("videos/", "Videos/")])
def test_links_are_followed(root: Path, tmp_path: Path, write, place: str, manifest: str) -> None:
    write(root / "mine/videos/a.mp4", "video")
    write(root / "mine/videos/a/1.jpg", "picture")
    (tmp_path / "disk").mkdir()
    (root / place).rename(tmp_path / "disk" / "moved")
    (root / place).symlink_to(tmp_path / "disk" / "moved")
    assert video(root, manifest=manifest).path.exists()


def test_links_to_nowhere_and_loops(root: Path, write) -> None:
    path = write(root.parent / "m.toml", MANIFEST)
    (root / "mine/videos/a.mp4").symlink_to(root / "none")
    assert load_dataset(path, root).missing == ("a",)
    (root / "mine/videos/a.mp4").unlink()
    write(root / "mine/videos/a.mp4")
    (root / "mine/videos/x").symlink_to(root / "mine")
    (root / "mine/videos/y").symlink_to(root / "mine/videos")
    dataset = bounded(load_dataset, path, root)
    assert [source.id for source in dataset.videos] == ["a"]


def test_lengths_by_headers(tmp_path: Path) -> None:
    paths = [write_gray(tmp_path / f"{number}.mp4", number) for number in (5, 3, 4)]
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    videos = [Video(id=path.stem, path=path) for path in (*paths, tmp_path / "bad.mp4")]
    estimates = read_headers(videos)
    lengths = [(name, estimate.frames) for name, estimate in estimates.items()]
    assert lengths == [("5", 5), ("3", 3), ("4", 4), ("bad", 0)]
    assert "bad.mp4: cannot be opened (" in estimates["bad"].problem
    assert read_headers([]) == {}
