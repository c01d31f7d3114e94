"""How often the frames of a test clip show what a demo film's label depends on.

    python -m benchmarks.demo_moments --data ROOT [--run RUN ...]

Films of `demo` in which X passes in front of Y or behind it can be told apart only while one hides
the other; films of `demo-touch`, in which nothing is pulled, only while the hand rests on what it
touches. With --run, films of which the clip shows the moment are compared with the others.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.harness import describe_machine
from demo.world.dials import ACTIVITIES, Dials
from demo.world.films import FilmTruth, true_films
from demo.world.make import film_rng, plan_film
from demo.world.scene import Scene
from shared.jobs.atomic_file import write_text
from stage2_train.clips.sampling import centre_frames

CROSSINGS = ("X passes in front of Y", "X passes behind Y")
_HIDDEN = 0.1
"""Share of an object that has to be hidden to tell which is in front."""
_AT_REST_PIXELS = 6.0
"""From the hand's place at a stop, where it counts as resting there."""
_HAND_PIXELS = 7.0
"""From the middle of what a hand touches to the hand."""
_CLIP_FRAMES = (4, 6, 8)
_PLANNED_FILMS = 400


def crossing_frames(film: FilmTruth) -> tuple[str, list[bool]] | None:
    """The activity of a film in which X crosses Y, and whether each frame shows a tenth of what is
    behind hidden by the other; None for other films."""
    relation = next(r for r in film.relations if r["in_role"])
    if relation["name"] not in CROSSINGS:
        return None
    front, back = relation["x_track"], relation["y_track"]
    if relation["name"] == CROSSINGS[1]:
        front, back = back, front
    frames = [{a["track_id"]: a for a in frame} for frame in film.frames]
    whole = max(frame[back]["area"] for frame in frames if back in frame)
    shown = []
    for frame in frames:
        hidden = 1 - frame[back]["area"] / whole if back in frame else 1.0
        meets = back not in frame or (front in frame and _meet(frame[front], frame[back]))
        shown.append(meets and hidden > _HIDDEN)
    return relation["name"], shown


def _meet(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the boxes of two annotations overlap."""
    (x, y, width, height), (x2, y2, width2, height2) = one["bbox"], other["bbox"]
    across = min(x + width, x2 + width2) > max(x, x2)
    return bool(across and min(y + height, y2 + height2) > max(y, y2))


def touch_frames(scene: Scene) -> list[np.ndarray]:
    """(F,) whether the hand rests on it, for every object that the hand of a film touches."""
    hand = scene.actors[-1]
    assert hand.hand is not None
    along_2 = np.array([np.cos(hand.hand.arm_angle), np.sin(hand.hand.arm_angle)])
    return [
        np.hypot(*(hand.position_F2 - scene.actors[track].position_F2 - along_2 * _HAND_PIXELS).T)
        < _AT_REST_PIXELS
        for track in scene.touched
    ]


def _share_seen(moments: Sequence[Sequence[bool] | np.ndarray], num_frames: int) -> float:
    """Share of moments that the T centre frames of a test clip show."""
    seen = [
        any(moment[frame] for frame in centre_frames(len(moment), num_frames)) for moment in moments
    ]
    return float(np.mean(seen))


def _crossings(films: Mapping[str, FilmTruth]) -> dict[str, tuple[str, list[bool]]]:
    found = {name: crossing_frames(film) for name, film in films.items()}
    return {name: crossing for name, crossing in found.items() if crossing is not None}


def _right(run: Path, split: str, crossings: Mapping[str, tuple[str, list[bool]]]) -> dict:
    """Share of crossings that a run names right, where its clip shows the moment and elsewhere."""
    with np.load(run / f"predictions-{split}.npz", allow_pickle=False) as stored:
        named_N = stored["logits"].argmax(axis=1)
        named = dict(zip(stored["ids"].tolist(), named_N.tolist(), strict=True))
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for name, (activity, moments) in crossings.items():
        shown = any(moments[frame] for frame in centre_frames(len(moments), 4))
        hits[shown].append(ACTIVITIES[named[name]] == activity)
    return {
        "run": run.name,
        "shown": {"films": len(hits[True]), "right": float(np.mean(hits[True]))},
        "not shown": {"films": len(hits[False]), "right": float(np.mean(hits[False]))},
    }


@click.command()
@click.option("--data", "data_root", type=click.Path(path_type=Path), required=True)
@click.option("--split", default="test", show_default=True)
@click.option(
    "--run", "runs", multiple=True, type=click.Path(path_type=Path), help="Measured runs."
)
@click.option("--out", type=click.Path(path_type=Path), help="Keep the figures in this file.")
def moments(data_root: Path, split: str, runs: tuple[Path, ...], out: Path | None) -> None:
    """Say how often the frames of a clip show the deciding moment."""
    crossings = _crossings(true_films(data_root / "demo", split))
    touches: dict[int, list[np.ndarray]] = {}
    for stops in (2, 3):
        rngs = [film_rng(0, "demo-touch", "train", film) for film in range(_PLANNED_FILMS)]
        planned = [plan_film("demo-touch", Dials(stops=stops), rng)[0] for rng in rngs]
        touches[stops] = [moment for scene in planned for moment in touch_frames(scene)]
    report = {
        "crossings": {
            name: {
                str(number): _share_seen(
                    [shown for activity, shown in crossings.values() if activity == name], number
                )
                for number in _CLIP_FRAMES
            }
            for name in CROSSINGS
        },
        "touches by largest number of stops": {
            str(stops): {str(number): _share_seen(found, number) for number in _CLIP_FRAMES}
            for stops, found in touches.items()
        },
        "right": [_right(run, split, crossings) for run in runs],
    }
    click.echo(json.dumps(report, indent=2))
    if out is not None:
        kept = {"machine": describe_machine(), "report": report}
        write_text(out, json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    moments()
