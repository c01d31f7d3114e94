"""Links and odd files among videos: what is followed, and what fails one video and not the job."""

from pathlib import Path

import pytest

from orn.shared.errors import VideoDecodeError
from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from tests.bounded import bounded
from tests.shared.manifests.conftest import MANIFEST

FRAMES = MANIFEST.replace('"clips"', '"frames"').replace("{id}.mp4", "{id}") + "[videos.rates]\n"
FRAMES = FRAMES.replace("[videos]", "[videos]\nrate = 10")


@pytest.fixture
def outside(tmp_path: Path, write) -> Path:
    """A folder with a video and pictures, beside the data root."""
    write(tmp_path / "outside" / "a.mp4", "video")
    write(tmp_path / "outside" / "a" / "1.jpg", "picture")
    return tmp_path / "outside"


@pytest.fixture
def root(tmp_path: Path, write) -> Path:
    """A data root with a data set of one's own, whose folder of videos is empty."""
    write(tmp_path / "root" / "mine" / "labels.csv", "video,label,split\na,open,train\n")
    write(tmp_path / "root" / "mine" / "classes.txt", "open\n")
    (tmp_path / "root" / "mine" / "videos").mkdir()
    return tmp_path / "root"


def video(root: Path, *, manifest: str = MANIFEST) -> Video:
    """The only video of the data set."""
    path = root.parent / "m.toml"
    path.write_text(manifest)
    (found,) = load_dataset(path, root).videos
    return found


def replace_by_link(path: Path, target: Path) -> None:
    """Moves a folder to `target` and leaves a link to it."""
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize("place", [".", "mine", "mine/videos"])
@pytest.mark.parametrize("manifest", [MANIFEST, FRAMES])
def test_folders_that_the_user_or_the_manifest_names_may_be_links(
    root: Path, tmp_path: Path, write, place: str, manifest: str
) -> None:
    write(root / "mine/videos/a.mp4", "video")
    write(root / "mine/videos/a/1.jpg", "picture")
    (tmp_path / "disk").mkdir()
    replace_by_link(root / place, tmp_path / "disk" / "moved")
    assert source_of(video(root, manifest=manifest)).exists()


def test_a_video_may_be_a_link_to_another_place_of_the_data_root(root: Path, write) -> None:
    real = write(root / "other" / "films" / "1.mp4", "video")
    (root / "mine/videos/a.mp4").symlink_to(real)
    assert source_of(video(root)).read_text() == "video"


def test_a_video_that_leads_out_fails_when_it_is_read(root: Path, outside: Path) -> None:
    (root / "mine/videos/a.mp4").symlink_to(outside / "a.mp4")
    found = video(root)
    with pytest.raises(VideoDecodeError, match=r"mp4: is a link that leads out .*outside/a\.mp4"):
        source_of(found)


def test_a_folder_of_an_id_that_leads_out(root: Path, outside: Path) -> None:
    (root / "mine/labels.csv").write_text("video,label\nx/a,open\n")
    (root / "mine/videos/x").symlink_to(outside)
    with pytest.raises(VideoDecodeError, match=r"x/a\.mp4: is a link that leads out"):
        source_of(video(root))


def test_a_frame_folder_that_leads_out(root: Path, outside: Path) -> None:
    (root / "mine/videos/a").symlink_to(outside / "a")
    with pytest.raises(VideoDecodeError, match=r"videos/a: is a link that leads out"):
        source_of(video(root, manifest=FRAMES))


def test_a_picture_that_leads_out(root: Path, outside: Path, write) -> None:
    write(root / "mine/videos/a/1.jpg")
    (root / "mine/videos/a/2.JPG").symlink_to(outside / "a" / "1.jpg")
    found = video(root, manifest=FRAMES)
    with pytest.raises(VideoDecodeError, match=r"a/2\.JPG: is a link that leads out .*a/1\.jpg"):
        source_of(found)
    (root / "mine/videos/a/2.JPG").unlink()
    (root / "mine/videos/a/2.JPG").symlink_to("1.jpg")
    assert source_of(found) == found.path


def test_a_sibling_whose_name_begins_alike_is_outside(root: Path, write) -> None:
    write(root.parent / "root-of-others" / "a.mp4")
    (root / "mine/videos/a.mp4").symlink_to(root.parent / "root-of-others" / "a.mp4")
    with pytest.raises(VideoDecodeError, match="leads out"):
        source_of(video(root))


def test_a_link_to_nowhere_is_absent(root: Path) -> None:
    (root / "mine/videos/a.mp4").symlink_to(root / "none")
    (root.parent / "m.toml").write_text(MANIFEST)
    assert load_dataset(root.parent / "m.toml", root).missing == ("a",)


def test_a_loop_of_folders_is_not_walked_into(root: Path, write) -> None:
    write(root / "mine/videos/a.mp4")
    (root / "mine/videos/x").symlink_to(root / "mine")
    (root / "mine/labels.csv").unlink()
    (root.parent / "m.toml").write_text(MANIFEST)
    dataset = bounded(load_dataset, root.parent / "m.toml", root, labels=False)
    assert [each.id for each in dataset.videos] == ["a"]


def test_what_is_not_there_is_left_to_the_reader(tmp_path: Path) -> None:
    assert source_of(Video(id="a", path=tmp_path / "a.mp4")) == tmp_path / "a.mp4"
