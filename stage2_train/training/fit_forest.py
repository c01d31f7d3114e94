"""The forest of a model, fitted when the training of its network ends."""

import numpy as np

from orn.shared.jobs.progress import progress
from orn.stage2_train.parts.fitted_forest import FittedForest, inputs_of, read_forest
from orn.stage2_train.runs.run_folder import config_digest
from orn.stage2_train.training.training_inputs import TrainingInputs


def fit_forest_of_run(inputs: TrainingInputs, *, threads: int) -> None:
    """Fit the forest of a run to its training segments, unless the recipe has none or the run has
    it already.

    Args:
        inputs: what training started from.
        threads: number of threads.

    Raises:
        PipelineError: if objects or motion cannot be read, or the file cannot be written.
    """
    recipe, config = inputs.config.recipe, config_digest(inputs.run)
    if "forest" not in recipe.ensemble or read_forest(inputs.run, config=config) is not None:
        return
    clips, sources = inputs.data.train, inputs.sources
    read = inputs_of(
        clips.segments,
        sources.detections,
        score_threshold=recipe.data.score_threshold,
        num_frames=recipe.data.clip_frames,
        reads_motion=recipe.model.reads_motion,
    )
    rows = []
    with progress("forest", total=len(clips.segments), unit="clips") as bar:
        for segment in clips.segments:
            rows.append(read.of_segment(segment, sources.detections, sources.clips))
            bar.advance()
    FittedForest.fit(
        read,
        np.stack(rows),
        np.stack([np.asarray(clips.label(segment)) for segment in clips.segments]),
        recipe.model.num_activities,
        seed=recipe.seed,
        jobs=threads,
    ).write(inputs.run, config=config)
