"""Plan a film: its objects, their motion, the lamp, and the label.

One hand takes a dish away, another hand brings a different one, and the lamp may be switched. Every
film shows the same dishes, so that the order of its frames is needed to tell which one was taken.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orn.demo.sprites import Actor, Sprite, draw_sprite, hand_sprite

HEIGHT, WIDTH = 120, 160
FRAMES, FRAMES_PER_SECOND = 8, 8

DISHES = ("bowl", "cup", "vase", "bottle")
"""Every film shows one of each; a hand takes one away, and another hand brings a different one."""
HAND = "person"
BYSTANDERS = ("apple", "book", "cell phone")
"""Classes of objects that do not move; with the others, 8 of the 80 COCO classes."""

LAMP = ("lamp on", "lamp off", "lamp steady")
"""What the lamp does: it is switched on, switched off, or neither."""
LABELS = tuple(f"{dish}: {lamp}" for dish, lamp in itertools.product(DISHES, LAMP))

_MARGIN = 14.0
_GAP = 3.0
"""Distance in pixels between objects that is enough."""
_TRIES = 60
_BROUGHT_DEPTH, _TAKEN_DEPTH = 50.0, 60.0
"""Depth of a hand; its dish is nearer, and other objects are behind."""
_GRASP = 9.0
"""Distance in pixels between the centers of a held object and the hand."""
_BELOW = 26.0
"""Distance in pixels below the frame at which a dish and its hand are out of view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A planned film."""

    actors: tuple[Actor, ...]
    lamp_F: np.ndarray
    """(F,) bool, whether the lamp is on."""
    render_seed: int
    """Seed for table, light, noise and camera, which do not affect the label."""
    label: str


def draw_label(rng: np.random.Generator) -> int:
    """Return the index of the label of the film with a new random generator."""
    return int(rng.integers(len(LABELS)))


def plan_scene(rng: np.random.Generator) -> Scene:
    """Plan a film with a random label."""
    label = draw_label(rng)
    taken, lamp = divmod(label, len(LAMP))
    brought = (taken + int(rng.integers(1, len(DISHES)))) % len(DISHES)
    names = [*DISHES, str(rng.choice(BYSTANDERS))]
    sprites = [draw_sprite(name, rng) for name in names]
    centers = _centers([sprite.radius for sprite in sprites], rng)
    actors = []
    for number, (name, sprite, center_2) in enumerate(zip(names, sprites, centers, strict=True)):
        if number in (taken, brought):
            actors += _carried(name, sprite, center_2, rng, is_taken=number == taken)
        else:
            actors.append(
                Actor(
                    class_name=name,
                    sprite=sprite,
                    position_F2=np.tile(center_2, (FRAMES, 1)),
                    depth_F=np.full(FRAMES, 2.0 * number),
                )
            )
    return Scene(
        actors=tuple(actors),
        lamp_F=_switched(LAMP[lamp], rng),
        render_seed=int(rng.integers(2**31)),
        label=LABELS[label],
    )


def _carried(
    name: str, sprite: Sprite, center_2: np.ndarray, rng: np.random.Generator, *, is_taken: bool
) -> list[Actor]:
    """Return a dish and the hand that takes it out of view or, in reverse, brings it to a place."""
    angle = float(np.pi / 2 + rng.uniform(-0.9, 0.9))
    along_2 = np.array([np.cos(angle), np.sin(angle)])
    out_2 = (HEIGHT + _BELOW - center_2[1]) / along_2[1] * along_2
    time_F = np.linspace(0.0, 1.0, FRAMES)[:: 1 if is_taken else -1]
    grasped, gone = rng.uniform(0.2, 0.35), rng.uniform(0.65, 0.8)
    dish_away_F = _ease((time_F - grasped) / (gone - grasped))
    hand_away_F = np.maximum(dish_away_F, 1.0 - _ease(time_F / grasped))
    grip_2 = center_2 + _GRASP * along_2
    depth_F = np.full(FRAMES, _TAKEN_DEPTH if is_taken else _BROUGHT_DEPTH)
    return [
        Actor(
            class_name=HAND,
            sprite=hand_sprite(rng, angle=angle),
            position_F2=grip_2 + hand_away_F[:, None] * out_2,
            depth_F=depth_F,
        ),
        Actor(
            class_name=name,
            sprite=sprite,
            position_F2=center_2 + dish_away_F[:, None] * out_2,
            depth_F=depth_F + 2.0,
            lift_F=np.minimum(1.0, 4.0 * dish_away_F),
        ),
    ]


def _ease(phase_F: np.ndarray) -> np.ndarray:
    """Return (F,) values that rise smoothly from 0 at the phase 0 to 1 at the phase 1."""
    part_F = np.clip(phase_F, 0.0, 1.0)
    return part_F * part_F * (3.0 - 2.0 * part_F)


def _switched(lamp: str, rng: np.random.Generator) -> np.ndarray:
    """Return (F,) states of the lamp, which is switched near the middle of the film."""
    if lamp == "lamp steady":
        return np.full(FRAMES, rng.random() < 0.5)
    is_after_F = np.arange(FRAMES) >= rng.integers(FRAMES // 2 - 1, FRAMES // 2 + 2)
    return is_after_F if lamp == "lamp on" else ~is_after_F


def _centers(radii: Sequence[float], rng: np.random.Generator) -> list[np.ndarray]:
    """Return a random place for each radius, x and y in pixels, clear of the others."""
    centers: list[np.ndarray] = []
    for radius in radii:
        best_2, best_gap = np.zeros(2), -np.inf
        for _ in range(_TRIES):
            center_2 = rng.uniform((_MARGIN, _MARGIN), (WIDTH - _MARGIN, HEIGHT - _MARGIN))
            gaps = [
                float(np.hypot(*(center_2 - other_2))) - radius - other
                for other_2, other in zip(centers, radii, strict=False)
            ]
            gap = min(gaps, default=np.inf)
            if gap > best_gap:
                best_2, best_gap = center_2, gap
            if gap >= _GAP:
                break
        centers.append(best_2)
    return centers
