import numpy as np
import pytest
from numpy.typing import NDArray

from orn.shared.video.frame import Frame
from orn.stage2_train.clip_store.motion import (
    MOST_CELLS,
    SCALES_C,
    map_of_flow,
    reversed_motion,
)
from tests.reference import motion as reference
from tests.stage2_train.clip_store.moving_pictures import (
    film,
    frame_motion,
    texture,
    translated,
    turned,
    with_patch,
)

SCENE = texture(240, 320)
X, Y, LENGTH, SQUARED, DIVERGENCE, CURL, PRESENT = range(25, 32)
STILL = 8


def mean_motion(frames: list[Frame]) -> NDArray[np.float32]:
    """The mean motion of frames but the first, in the units of the flow."""
    maps = [motion for _, motion in frame_motion(frames)][1:]
    return np.mean(maps, axis=0) / SCALES_C[:, None, None]


def test_translation_is_the_motion_of_the_camera() -> None:
    motion = mean_motion(list(film(lambda s: translated(SCENE, 0.3 * s, -0.2 * s))))
    inner = motion[:, 1:-1, 1:-1]
    assert np.abs(inner[[X, Y]]).max() < 0.02
    assert inner[STILL].mean() > 0.95
    assert (motion[PRESENT] == 1).all()


@pytest.mark.parametrize("cells", [(7, 7), (3, 5), (56, 56)])
def test_the_map_of_a_flow_is_that_of_the_loop(cells: tuple[int, int]) -> None:
    center = (np.arange(MOST_CELLS) + 0.5) / MOST_CELLS - 0.5
    y_NN, x_NN = np.meshgrid(center, center, indexing="ij")
    random = np.random.default_rng(0).normal(scale=0.1, size=(2, MOST_CELLS, MOST_CELLS))
    for flow_2NN in ([-0.6 * y_NN, 0.6 * x_NN], random):  # a rotation, and noise with still pixels
        x_NN_32, y_NN_32 = np.asarray(flow_2NN, np.float32)
        got = map_of_flow(x_NN_32, y_NN_32, cells)
        expected = reference.map_of_flow(x_NN_32.astype(float), y_NN_32.astype(float), cells)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_zoom_has_divergence_in_frames_of_any_shape() -> None:
    speed = 0.5
    inner = mean_motion(list(film(lambda s: turned(SCENE, scale=np.exp(speed * s)))))[:, 1:-1, 1:-1]
    assert inner[DIVERGENCE].mean() == pytest.approx(2 * speed, rel=0.05)
    assert abs(inner[CURL].mean()) < 0.05


@pytest.mark.parametrize("direction", range(8))
def test_patch_before_a_moving_camera_moves_relative_to_the_scene(direction: int) -> None:
    angle, camera = direction * np.pi / 4, (0.2, 0.1)
    x, y = 0.4 * np.cos(angle), 0.4 * np.sin(angle)

    def picture(s: float) -> NDArray[np.uint8]:
        scene = translated(SCENE, camera[0] * s, camera[1] * s)
        return with_patch(scene, 0.5 + (x + camera[0]) * s, 0.5 + (y + camera[1]) * s, side=0.4)

    motion = mean_motion(list(film(picture, seconds=0.2)))
    center = motion[:, 3, 3]
    assert center[[X, Y]] == pytest.approx([x, y], abs=0.06)
    assert center[LENGTH] == pytest.approx(0.4, abs=0.06)
    assert center[SQUARED] == pytest.approx(0.16, abs=0.04)
    assert center[:8].argmax() == direction
    assert center[direction] ** 2 == pytest.approx(0.4, abs=0.06)
    assert motion[STILL, 0].mean() > 0.8


def _scene_with_patch(height: int, width: int, s: float) -> NDArray[np.uint8]:
    return with_patch(texture(height, width), 0.4 + 0.4 * s, 0.5 - 0.2 * s)


@pytest.mark.parametrize(
    ("height", "width", "rate", "tolerance"),
    [(120, 160, 30, 0.05), (720, 960, 30, 0.05), (240, 320, 15, 0.2), (240, 320, 60, 0.2)],
)
def test_resolution_and_rate_change_channels_within_a_tolerance(
    height: int, width: int, rate: float, tolerance: float
) -> None:
    usual = mean_motion(list(film(lambda s: _scene_with_patch(240, 320, s))))
    other = mean_motion(list(film(lambda s: _scene_with_patch(height, width, s), rate=rate)))
    for channels in (slice(0, 8), STILL, slice(9, 17), slice(17, 25), *range(X, CURL + 1)):
        difference = np.linalg.norm(other[channels] - usual[channels])
        assert difference < tolerance * np.linalg.norm(usual[channels])


def test_reversed_motion_is_about_that_of_the_reversed_frames() -> None:
    frames = list(film(lambda s: turned(_scene_with_patch(240, 320, s), 0.4 * s, np.exp(0.3 * s))))
    last = frames[-1].seconds
    backwards = [
        Frame(index=index, seconds=last - frame.seconds, image=frame.image)
        for index, frame in enumerate(reversed(frames))
    ]
    forwards, expected = mean_motion(frames), mean_motion(backwards)
    turned_back = reversed_motion(forwards)
    assert np.linalg.norm(turned_back - expected) < 0.2 * np.linalg.norm(forwards - expected)
    assert (reversed_motion(turned_back) == forwards).all()
