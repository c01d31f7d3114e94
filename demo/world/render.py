"""Draws a planned film: pictures and, for each object, the mask of what can be seen of it.

Axes: F frames, H W pixels. The camera drifts, the light changes, the sensor adds noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from demo.world.dials import HEIGHT, WIDTH, Dials
from demo.world.scene import Actor, Scene
from demo.world.sprites import hand_sprite
from demo.world.tabletop import draw_table

_BORDER = 12
_NO_TRACK = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFrame:
    """One picture and what it shows."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    track_HW: np.ndarray
    """(H, W) uint8, the track seen at each pixel, 255 for the table."""
    full_area: dict[int, int]
    """Pixels that each track's layers cover, hidden or not; absent where they cover none."""


def render(scene: Scene, dials: Dials) -> Iterator[RenderedFrame]:
    """The film of a scene, frame by frame."""
    rng = np.random.default_rng(scene.render_seed)
    table = draw_table(
        rng, height=HEIGHT + 2 * _BORDER, width=WIDTH + 2 * _BORDER, contrast=dials.texture
    )
    num_frames = len(scene.actors[0].depth_F)
    drift_F2 = _drift(num_frames, dials.camera_pixels, rng)
    light_F3 = _light(num_frames, rng)
    noise = rng.normal(0.0, dials.noise, (HEIGHT + 64, WIDTH + 64, 3)).astype(np.float32)
    layers = [_layers(actor) for actor in scene.actors]
    for frame in range(num_frames):
        image = _background(table, drift_F2[frame])
        track_HW = np.full((HEIGHT, WIDTH), _NO_TRACK, np.uint8)
        full_area: dict[int, int] = {}
        for _, track, layer in _paint_order(scene, layers, frame):
            _paint(image, track_HW, full_area, layer, scene.actors[track], track, frame, drift_F2)
        y, x = rng.integers(0, 64, 2)
        lit = image * light_F3[frame] + noise[y : y + HEIGHT, x : x + WIDTH]
        yield RenderedFrame(
            image=np.clip(lit, 0, 255).astype(np.uint8), track_HW=track_HW, full_area=full_area
        )


def _drift(num_frames: int, pixels: float, rng: np.random.Generator) -> np.ndarray:
    """(F, 2) smooth camera offsets of at most `pixels`."""
    time_F = np.linspace(0.0, 1.0, num_frames)[:, None]
    phase_2, speed_2 = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.5, 3.0, 2)
    return pixels * np.sin(phase_2 + speed_2 * time_F * np.pi)


def _light(num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """(F, 3) factors of the three colours over time."""
    time_F = np.linspace(0.0, 1.0, num_frames)[:, None]
    level = rng.uniform(0.8, 1.1) + rng.uniform(-0.12, 0.12) * time_F
    flicker = 0.03 * np.sin(rng.uniform(0, 6) + rng.uniform(2, 12) * time_F)
    return (level + flicker) * rng.normal(1.0, 0.05, 3)


def _background(table: np.ndarray, drift_2: np.ndarray) -> np.ndarray:
    shift = np.array([[1, 0, drift_2[0] - _BORDER], [0, 1, drift_2[1] - _BORDER]], np.float64)
    return cv2.warpAffine(table, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)


def _layers(actor: Actor) -> tuple[np.ndarray | None, np.ndarray]:
    """Back (or None) and front drawing of an actor, float32 RGBA premultiplied."""
    if actor.hand is not None:
        rng = np.random.default_rng(actor.hand.sprite_seed)
        return None, hand_sprite(rng, angle=actor.hand.arm_angle).astype(np.float32)
    assert actor.sprite is not None
    back = actor.sprite.back
    return None if back is None else back.astype(np.float32), actor.sprite.front.astype(np.float32)


def _paint_order(
    scene: Scene, layers: list[tuple[np.ndarray | None, np.ndarray]], frame: int
) -> list[tuple[float, int, np.ndarray]]:
    """Every layer of the frame from the farthest to the nearest: depth, track, drawing."""
    order = []
    for track, actor in enumerate(scene.actors):
        back, front = layers[track]
        depth = float(actor.depth_F[frame])
        if back is not None:
            order.append((depth, track, back))
        order.append((depth + (1.0 if back is not None else 0.0), track, front))
    return sorted(order, key=lambda item: item[0])


def _paint(
    image: np.ndarray,
    track_HW: np.ndarray,
    full_area: dict[int, int],
    layer: np.ndarray,
    actor: Actor,
    track: int,
    frame: int,
    drift_F2: np.ndarray,
) -> None:
    """Paint one layer in place, its shadow first."""
    lift = float(actor.lift_F[frame])
    zoom = 1.0 + 0.25 * lift
    centre = actor.position_F2[frame] + drift_F2[frame]
    half = zoom * layer.shape[0] / 2
    if actor.sprite is not None:
        _shadow(image, centre + np.array([2.0, 4.0]) * (1 + 2.5 * lift), actor.sprite.radius)
    x0, y0 = max(int(centre[0] - half), 0), max(int(centre[1] - half), 0)
    x1, y1 = min(int(centre[0] + half) + 1, WIDTH), min(int(centre[1] + half) + 1, HEIGHT)
    if x1 <= x0 or y1 <= y0:
        return
    offset = (centre[0] - half - x0, centre[1] - half - y0)
    placed = np.array([[zoom, 0, offset[0]], [0, zoom, offset[1]]], np.float64)
    patch = cv2.warpAffine(layer, placed, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    alpha = patch[..., 3:] * (1 / 255.0)
    region = image[y0:y1, x0:x1]
    region *= 1.0 - alpha
    region += patch[..., :3]
    solid = alpha[..., 0] > 0.5
    track_HW[y0:y1, x0:x1][solid] = track
    if solid.any():
        full_area[track] = full_area.get(track, 0) + int(solid.sum())


def _shadow(image: np.ndarray, centre: np.ndarray, radius: float) -> None:
    """Darken a soft ellipse of the table in place."""
    size = 1.3 * radius
    x0, y0 = max(int(centre[0] - size), 0), max(int(centre[1] - size), 0)
    x1, y1 = min(int(centre[0] + size) + 1, WIDTH), min(int(centre[1] + size) + 1, HEIGHT)
    if x1 <= x0 or y1 <= y0:
        return
    x = (np.arange(x0, x1, dtype=np.float32) - centre[0]) / radius
    y = (np.arange(y0, y1, dtype=np.float32) - centre[1]) / (0.8 * radius)
    depth = 0.35 * np.exp(-1.2 * (x[None] ** 2 + y[:, None] ** 2) ** 2)
    image[y0:y1, x0:x1] *= (1.0 - depth)[..., None].astype(np.float32)
