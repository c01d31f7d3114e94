"""What a model has beside its network, fitted when its training ends: the forest, and the head over
time of long videos."""

from itertools import groupby
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from orn.shared.jobs.progress import Reporter
from orn.stage2_train.intervals.film_head import TrainingFilm, num_epochs, train_film_heads
from orn.stage2_train.intervals.film_objects import (
    frames_of_windows,
    most_frequent_classes,
    rows_by_video,
)
from orn.stage2_train.intervals.stored_film_head import FittedFilmHead
from orn.stage2_train.parts.fitted_forest import FittedForest, fitted_windows, inputs_of
from orn.stage2_train.runs.run_folder import (
    config_digest,
)
from orn.stage2_train.runs.trained import (
    film_head_of_run,
    film_inputs,
    forest_of_run,
    reads_films,
)
from orn.stage2_train.training.training_inputs import TrainingInputs


def fit_forest(inputs: TrainingInputs, reporter: Reporter, *, threads: int) -> None:
    """Fit the forest of a run to its training segments, unless the recipe has none or the run has
    it already.

    Args:
        inputs: what training started from.
        reporter: shows the progress.
        threads: number of threads.

    Raises:
        PipelineError: if objects or motion cannot be read, or the file cannot be written.
    """
    recipe, config = inputs.config.recipe, config_digest(inputs.run)
    if "forest" not in recipe.ensemble or forest_of_run(inputs.run, inputs.config) is not None:
        return
    clips, opened = inputs.data.train, inputs.opened
    rate = inputs.config.clips.frames.rate if opened.dataset.films is not None else None
    segments = clips.segments if rate is None else fitted_windows(clips.segments)
    reads_motion = recipe.model.reads_motion
    read = inputs_of(
        clips.segments, opened.detections, recipe.data, reads_motion=reads_motion, rate=rate
    )
    rows = []
    with reporter.progress("forest", total=len(segments), unit="clips") as bar:
        for _, of_video in groupby(segments, key=attrgetter("video_id")):
            own = [*of_video]
            rows.append(read.of_segments(own, opened.detections, opened.clips))
            bar.advance(len(own))
    FittedForest.fit(
        read,
        np.concatenate(rows),
        np.stack([np.asarray(clips.label(segment)) for segment in segments]),
        recipe.model.num_activities,
        seed=recipe.seed,
        jobs=threads,
    ).write(inputs.run, config=config)


def train_film_head(inputs: TrainingInputs, reporter: Reporter) -> None:
    """Train the head over time of a run on its training films, unless the recipe has none or the
    run has it already.

    Args:
        inputs: what training started from.
        reporter: shows the progress.

    Raises:
        PipelineError: if objects, maps or motion cannot be read, or the file cannot be written.
    """
    run, config, opened = inputs.run, inputs.config, inputs.opened
    if not reads_films(config) or film_head_of_run(run, config) is not None:
        return
    clips, forest = inputs.data.train, forest_of_run(run, config)
    rows_of = rows_by_video(clips.segments)
    if forest is not None:  # it follows the same classes
        followed = forest.inputs.followed
    else:
        followed = most_frequent_classes(
            [opened.detections.video(video) for video in rows_of],
            len(opened.detections.detector.class_names),
            score_threshold=config.recipe.data.score_threshold,
        )
    reads, films = film_inputs(config, followed), []
    is_multi = config.dataset.task == "multi-label"
    with reporter.progress("film features", total=len(rows_of), unit="videos") as bar:
        for video, rows in rows_of.items():
            windows = [clips.segments[row] for row in rows]
            frames = opened.clips.frames(video)
            features_TS = reads.of_film(frames, opened.detections.video(video))
            labels = _labels_of_frames(
                frames_of_windows(windows, frames),
                np.stack([np.asarray(clips.label(window)) for window in windows]),
                num_frames=len(features_TS),
            )
            films.append(TrainingFilm(features=features_TS, labels=labels))
            bar.advance()
    with reporter.progress("film head", total=num_epochs(), unit="epochs") as bar:
        heads = train_film_heads(
            films,
            config.recipe.model.num_activities,
            multi_label=is_multi,
            seed=config.recipe.seed,
            bar=bar,
        )
    FittedFilmHead(heads=heads, inputs=reads).write(run, config=config_digest(run))


def _labels_of_frames(
    frames_N: NDArray[np.int64], labels: NDArray, *, num_frames: int
) -> NDArray[np.int64] | NDArray[np.float32]:
    """Return the labels of all frames of a film, -1 where there is no window.

    Args:
        frames_N: index of the frame of each window.
        labels: (N,) or (N, A) labels of the windows.
        num_frames: number of frames.
    """
    own = np.full((num_frames, *labels.shape[1:]), -1, labels.dtype)
    own[frames_N] = labels
    return own
