"""Which videos a user means."""

from pathlib import Path

import pytest

from orn.prediction.given_videos import find_given_videos, output_paths
from orn.shared.errors import ConfigError


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Three films, a folder of frames, and what is none."""
    names = "b.mp4 a.MKV notes.txt .hidden.mp4 sub/c.webm sub/poster.jpg frames/1.jpg"
    for name in names.split():
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "films"


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ([""], ["a.MKV", "b.mp4", "frames", "sub/c.webm"]),
        (["/absent.mp4", "/notes.txt"], ["absent.mp4", "notes.txt"]),  # a file that is named
        (["/link.mp4", "/b.mp4", "/sub"], ["link.mp4", "sub/c.webm"]),  # each video once
    ],
)
def test_folders_mean_videos(films: Path, sources, names) -> None:
    if "/link.mp4" in sources:
        (films / "link.mp4").symlink_to(films / "b.mp4")
    videos = find_given_videos([f"{films}{source}" for source in sources], rate=25)
    assert [str(video.path.relative_to(films)) for video in videos] == names


def test_a_folder_of_frames_has_a_rate(films: Path) -> None:
    (video,) = find_given_videos([str(films / "frames")], rate=12.5)
    assert (video.path, video.rate) == (films / "frames", 12.5)
    with pytest.raises(ConfigError, match="--rate"):
        find_given_videos([str(films / "frames")])
    (films / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty"):
        find_given_videos([str(films / "empty")])


def test_several_videos_have_their_films_in_a_folder(films: Path) -> None:
    videos = find_given_videos([str(films)], rate=25)
    paths = output_paths(films / "out", videos)
    assert [path.name for path in paths.values()] == ["a.mp4", "b.mp4", "frames.mp4", "c.mp4"]
    assert {path.parent for path in paths.values()} == {films / "out"}
    assert output_paths(Path("out.mp4"), videos[:1]) == {videos[0].id: Path("out.mp4")}
    assert output_paths(None, videos) == {}
