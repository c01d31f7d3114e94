"""What the head over time of a model learns from."""

from dataclasses import replace

import numpy as np

from orn.data_manifests.records import Films
from orn.shared.jobs.progress import SILENT
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.intervals import film_head
from orn.stage2_train.runs.open_data import OpenedData
from orn.stage2_train.training import fit_parts
from orn.stage2_train.training.fit_parts import train_film_head
from orn.stage2_train.training.initial_weights import InitialWeights
from orn.stage2_train.training.loop import TrainingData
from orn.stage2_train.training.training_inputs import TrainingInputs
from tests.worlds.films import RATE, STORED, TINY_RECIPE, TINY_RECORD, write_tiny_model


def test_times_that_were_not_observed_have_no_label(tiny_world, tmp_path, monkeypatch) -> None:
    """Of films that were observed before 0.3 s and from 0.5 s on."""
    videos = tiny_world.dataset.videos[:2]
    names = [video.id for video in videos]
    seen = (TimeRange(None, 0.3), TimeRange(0.5, None))
    films = Films(
        background="none",
        rate=RATE,
        split_of=dict.fromkeys(names, "train"),
        observed=dict.fromkeys(names, seen),
    )
    intervals = [own for own in tiny_world.dataset.segments if own.video_id in names]
    dataset = replace(
        tiny_world.dataset,
        classes=("right", "down", "none"),
        videos=videos,
        segments=tuple(
            replace(own, split="train", start_seconds=0.1, stop_seconds=0.6) for own in intervals
        ),
        films=films,
    )
    model = replace(TINY_RECIPE.model, num_activities=3)
    recipe = replace(TINY_RECIPE, model=model, ensemble=("network", "film"))
    config, _ = write_tiny_model(tmp_path)
    config = replace(
        config,
        recipe=recipe,
        dataset=replace(TINY_RECORD, kind="intervals", classes=dataset.classes),
        clips=replace(config.clips, frames=replace(STORED, rate=RATE), window_seconds=0.5),
    )
    opened = OpenedData(
        dataset=dataset, clips=tiny_world.clips(), detections=tiny_world.detections()
    )
    train = opened.clip_dataset(opened.join("train", recipe), recipe)
    learned, real = [], film_head.train_film_heads
    monkeypatch.setattr(film_head, "_EPOCHS", 1)

    def noted(films, *args, **options):
        learned.extend(films)
        return real(films, *args, **options)

    monkeypatch.setattr(fit_parts, "train_film_heads", noted)
    inputs = TrainingInputs(
        run=tmp_path,
        config=config,
        weights=InitialWeights(),
        opened=opened,
        data=TrainingData(train=train, validation=None, metric="top1"),
        num_skipped=0,
    )
    train_film_head(inputs, SILENT)
    assert len(learned) == 2
    for film, own in zip(learned, intervals, strict=True):
        expected = np.full(len(film.labels), 2)
        expected[1:6] = own.labels[0]
        expected[3:5] = -1
        assert film.labels.tolist() == expected.tolist()
