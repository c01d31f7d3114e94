from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from orn.shared.video.frame import Frame
from orn.shared.video.read import read_frames
from orn.stage2_train.clip_store.motion import SCALES_C
from orn.stage2_train.clip_store.motion_windows import MotionWindows
from orn.stage2_train.clip_store.store_format import MotionSettings
from tests.stage2_train.clip_store.moving_pictures import (
    film,
    frame_motion,
    texture,
    translated,
    windowed_motion,
    with_patch,
)
from tests.worlds.videos import write_pictures

STILL, X, PRESENT = 8, 25, 31
SCENE = texture(120, 160)


def _moving(s: float) -> NDArray[np.uint8]:
    return with_patch(SCENE, 0.4 + 0.4 * s, 0.5 - 0.2 * s)


def motion_of(frames: list[Frame]) -> NDArray[np.float32]:
    motion = list(frame_motion(frames))
    assert [seconds for seconds, _ in motion] == [frame.seconds for frame in frames]
    return np.stack([maps for _, maps in motion])


def present(frames: list[Frame]) -> list[int]:
    """Whether each frame has motion; a frame without has zeros only."""
    maps_FChw = motion_of(frames)
    of_frames = maps_FChw[:, PRESENT, 0, 0].astype(int)
    assert not maps_FChw[of_frames == 0].any()
    return of_frames.tolist()


def joined(*parts: list[Frame], gap_seconds: float = 1 / 30) -> list[Frame]:
    frames: list[Frame] = []
    for part in parts:
        start = frames[-1].seconds + gap_seconds if frames else 0.0
        for frame in part:
            seconds = start + frame.seconds - part[0].seconds
            frames.append(Frame(index=len(frames), seconds=seconds, image=frame.image))
    return frames


def test_the_first_frame_has_no_motion() -> None:
    assert present(list(film(_moving, seconds=0.1))) == [0, 1, 1, 1]
    assert present(list(film(_moving, seconds=0))) == [0]
    assert list(frame_motion([])) == []


def test_there_is_no_motion_across_a_gap_or_a_cut() -> None:
    part = list(film(_moving, seconds=0.1))
    other = list(film(lambda s: translated(texture(120, 160, seed=9), 0.2 * s, 0), seconds=0.1))
    assert present(joined(part, part[:2], gap_seconds=0.6)) == [0, 1, 1, 1, 0, 1]
    assert present(joined(part, other)) == [0, 1, 1, 1, 0, 1, 1, 1]


def test_motion_spans_repeated_frames() -> None:
    """Every picture twice, as where a video of 15 frames/s is converted to 30."""
    slow = list(film(_moving, rate=15, seconds=0.4))
    twice = [
        Frame(index=2 * frame.index + more, seconds=frame.seconds + more / 30, image=frame.image)
        for frame in slow
        for more in (0, 1)
    ][:-1]
    expected, got = motion_of(slow), motion_of(twice)
    assert (got[2::2] == expected[1:]).all()
    assert (got[1::2] == expected[1:]).all()


@pytest.mark.parametrize("shown", [2, 3])
def test_motion_spans_frames_that_compression_makes_only_similar(
    tmp_path: Path, shown: int
) -> None:
    slow = [frame.image for frame in film(_moving, rate=10, seconds=1.0)]
    fast = [image for image in slow for _ in range(shown)]
    means = []
    for images, rate in ((slow, 10), (fast, 10 * shown)):
        path = write_pictures(tmp_path / f"{rate}.mp4", images, rate=rate, options={"crf": "14"})
        means.append(windowed_motion(read_frames(path), [0.3, 0.5, 0.7])[1])
    assert np.linalg.norm(means[1] - means[0]) < 0.2 * np.linalg.norm(means[0])


def test_slow_motion_is_seen_though_its_frames_are_similar() -> None:
    def pale(s: float) -> NDArray[np.uint8]:
        return with_patch(SCENE, 0.4 + 0.1 * s, 0.5) // 8 + 90

    motion = motion_of(list(film(pale, rate=60, seconds=1.0)))[30:, :, 3, 3].mean(axis=0)
    assert motion[STILL] == 0
    assert motion[X] / SCALES_C[X] == pytest.approx(0.1, abs=0.02)


def test_a_picture_that_does_not_change_is_still() -> None:
    still = motion_of(list(film(lambda s: SCENE, seconds=1.0)))
    assert (still[1:, STILL] == 1).all()
    moves = list(film(_moving, seconds=0.1))
    then_moves = motion_of(joined(list(film(lambda s: SCENE, seconds=1.0)), moves))
    assert (then_moves[1:31, STILL] == 1).all()


def test_the_mean_over_a_window_is_weighted_by_time() -> None:
    windows = MotionWindows(MotionSettings(shape=(32, 1, 1), window_seconds=1.0))
    for seconds, value in ((0.0, 0.0), (1.0, 4.0), (1.2, 2.0), (3.0, 0.0), (4.0, 1.0)):
        windows.add_motion([(seconds, np.full((32, 1, 1), value, np.float32))])
    # 0.5 s of the first, 0.2 s of the second, and 0.3 s without motion
    assert windows.at(1.0) == pytest.approx((0.5 * 4 + 0.2 * 2) / 0.7)
    assert (windows.at(2.0) == 0).all()
    assert windows.is_known(3.5)
    assert not windows.is_known(3.6)
