"""Videos damaged in any way: frames, or an error that says what is wrong, and nothing else."""

from collections.abc import Sequence
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import VideoDecodeError
from orn.shared.video.read import content_digest, estimate, frame_seconds, probe, read_frames
from tests.bounded import bounded
from tests.shared.video.test_jpeg_folder import write_folder
from tests.worlds.videos import write_numbered

NUM_FRAMES = 12
NAMES = ["h264.mp4", "hevc.mp4", "part2.avi", "vp9.webm", "h264.ts"]
Damage = tuple[str, float, float, int]
"""What is done, where, how much of the file it takes, and a number."""

damages = st.lists(
    st.tuples(
        st.sampled_from(["cut", "flip", "fill", "copy", "remove"]),
        st.floats(0, 1),
        st.floats(0, 0.2),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sound files lie, and the damaged ones next to them."""
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def sound(folder: Path) -> dict[str, bytes]:
    """Small files of several containers and codecs, and a picture."""
    codecs = {
        "h264.mp4": ("libx264", {"g": "5"}),
        "hevc.mp4": ("libx265", {"x265-params": "keyint=5:log-level=none"}),
        "part2.avi": ("mpeg4", {"bf": "2", "g": "5"}),
        "vp9.webm": ("libvpx-vp9", {"g": "5"}),
        "h264.ts": ("libx264", {"bf": "2"}),
    }
    for name, (codec, options) in codecs.items():
        if codec not in av.codecs_available:
            pytest.skip(f"this FFmpeg has no {codec}")
        write_numbered(folder / name, NUM_FRAMES, codec=codec, options=options)
    write_folder(folder / "v", [("1.jpg", 1)])
    contents = {name: (folder / name).read_bytes() for name in NAMES}
    return {**contents, "picture.jpg": (folder / "v" / "1.jpg").read_bytes()}


def damaged(content: bytes, damages: Sequence[Damage]) -> bytes:
    """The content after all that is done to it."""
    for kind, place, share, number in damages:
        first = int(place * len(content))
        last = first + 1 + int(share * len(content))
        if kind == "cut":
            content = content[: max(first, 1)]
        elif kind == "flip":
            flipped = bytes(byte ^ (1 << number % 8) for byte in content[first : first + 1])
            content = content[:first] + flipped + content[first + 1 :]
        elif kind == "fill":
            content = content[:first] + bytes([number]) * (last - first) + content[last:]
        elif kind == "copy":
            target = int(number / 255 * len(content))
            content = content[:target] + content[first:last] + content[target:]
        else:
            content = content[:first] + content[last:]
    return content


def read_every_way(path: Path) -> None:
    """Frames by all readers; what they tell of it themselves is no error."""
    for read in (
        lambda: list(read_frames(path, rate=10.0)),
        lambda: list(read_frames(path, rate=10.0, start=4, stop=9)),
        lambda: probe(path, rate=10.0),
        lambda: estimate(path, rate=10.0),
        lambda: frame_seconds(path, rate=10.0),
        lambda: content_digest(path),
    ):
        try:
            read()
        except VideoDecodeError as err:
            assert str(path) in str(err)


@pytest.mark.parametrize("name", NAMES)
@given(damages=damages)
def test_a_damaged_file(
    folder: Path, sound: dict[str, bytes], name: str, damages: list[Damage]
) -> None:
    path = folder / f"damaged-{name}"
    path.write_bytes(damaged(sound[name], damages))
    read_every_way(path)


@given(damages=damages)
def test_a_damaged_picture(folder: Path, sound: dict[str, bytes], damages: list[Damage]) -> None:
    (folder / "v" / "2.jpg").write_bytes(damaged(sound["picture.jpg"], damages))
    assert len(list(read_frames(folder / "v", rate=10.0))) in (1, 2)
    read_every_way(folder / "v")


def read_all(folder: Path) -> int:
    """Reads every file of a folder."""
    paths = sorted(folder.iterdir())
    for path in paths:
        read_every_way(path)
    return len(paths)


@pytest.mark.parametrize(
    "name",
    [NAMES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])],
)
def test_damage_needs_no_more_memory_and_time_than_is_right(
    tmp_path: Path, sound: dict[str, bytes], name: str
) -> None:
    for place in range(32):
        flips = [("flip", (place + part / 7) / 32, 0.0, place + part) for part in range(7)]
        (tmp_path / f"{place}-{name}").write_bytes(damaged(sound[name], flips))
    assert bounded(read_all, tmp_path) == 32
