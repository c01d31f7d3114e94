"""The job of `orn export`: export the network of a run as a folder with a model card."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from orn.shared.config.toml_files import to_dict
from orn.shared.data_files import require_utf8
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.atomic_file import remove_stale_temporaries, write_text
from orn.shared.jobs.outputs import check_output_folder, check_same_job
from orn.shared.pages.render import render_markdown
from orn.shared.text import counted
from orn.stage2_train.intervals import FILM_HEAD_NAME
from orn.stage2_train.parts import FOREST_NAME, TEMPERATURES_NAME
from orn.stage2_train.parts.temperatures import write_temperatures
from orn.stage2_train.runs.checkpoint import save_best
from orn.stage2_train.runs.eval_file import EvalFile, read_eval
from orn.stage2_train.runs.find_run import CARD_NAME
from orn.stage2_train.runs.made_from import output_digests
from orn.stage2_train.runs.run_config import MODEL_MARKER, recorded_config, write_config
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    CONFIG_NAME,
    MADE_FROM_NAME,
    config_digest,
    temperatures_digest,
    weights_digest,
)
from orn.stage2_train.runs.trained import OpenedModel, open_model

_LISTED_CLASSES = 200


def export_run(run: Path, out: Path) -> tuple[str, ...]:
    """Write the best weights of a run, its configuration without data paths, and a model card.

    Each file is written atomically. An earlier export of the run is replaced.

    Args:
        run: the run folder.
        out: output folder; created if missing.

    Returns:
        The names of the files of the exported run.

    Raises:
        ConfigError: if `run` is not a run, or `out` contains other files or a different model.
        CheckpointError: if the run has no usable weights.
    """
    require_utf8(out)
    check_output_folder(out, marker=MODEL_MARKER)
    model = open_model(run, device="cpu")
    config = replace(model.config, recorded_paths=None)
    if (out / CONFIG_NAME).exists():
        recorded, remedy = recorded_config(out), "choose a different folder"
        if recorded.recorded_paths is not None:  # which an export has not
            raise ConfigError(
                where=out, expected="a folder for a model", got="a run", remedy=remedy
            )
        check_same_job(to_dict(recorded), to_dict(config), where=out, remedy=remedy)
    names = [CONFIG_NAME, BEST_NAME, CARD_NAME, MADE_FROM_NAME]
    remove_stale_temporaries(out)
    write_config(out, config)  # first, because it marks the folder as an export
    save_best(
        out,
        model.network.state_dict(),
        phase=model.phase,
        step=model.step,
        config=config_digest(out),
    )
    if model.forest is not None:
        model.forest.write(out, config=config_digest(out))
        names.append(FOREST_NAME)
    if model.film_head is not None:
        model.film_head.write(out, config=config_digest(out))
        names.append(FILM_HEAD_NAME)
    if model.temperatures.num_segments:
        fitted = replace(model.temperatures, made_from={"weights": weights_digest(out)})
        write_temperatures(out, fitted)
        names.append(TEMPERATURES_NAME)
    write_text(out / CARD_NAME, _card(model, run, out))
    inputs = {
        "config": config_digest(out),
        "weights": weights_digest(run),
        "temperatures": temperatures_digest(run),
        "outputs": output_digests(run, sorted(run.glob("eval-*.json"))),
    }
    write_text(out / MADE_FROM_NAME, json.dumps(inputs, indent=1) + "\n")
    return tuple(names)


def _card(model: OpenedModel, run: Path, out: Path) -> str:
    """Return the model card."""
    config = model.config
    measured: list[dict[str, Any]] = []
    unsure = []
    for path in sorted(run.glob("eval-*.json")):
        label = path.stem.removeprefix("eval-")
        try:
            file = read_eval(path)
        except CheckpointError:
            continue  # damaged, or from a different version
        measured += _rows_of(file, model, label)
        if text := file.unsure_text():
            unsure.append((label, text))
    view = {
        "name": out.resolve().name,
        "model": model,
        "config": config,
        "record": config.dataset,
        "recipe": config.recipe,
        "training": counted(config.dataset.num_train, "training segment"),
        "clip_frames": counted(config.recipe.data.clip_frames, "frame"),
        "size": config.clips.frames.describe_size(),
        "rate": config.clips.frames.rate,
        "most_classes": _LISTED_CLASSES,
        "measured": measured,
        "unsure": unsure,
    }
    return render_markdown("orn.stage2_train.runs/card.md", **view)


def _rows_of(file: EvalFile, model: OpenedModel, label: str) -> Iterator[dict[str, Any]]:
    metric = model.config.dataset.metric
    step = "" if file.step == model.step else f" (step {file.step})"
    seen = " (trained on)" if file.trained_on else ""
    for head, figures in file.heads().items():
        if metric in figures:
            ends = file.interval(head, metric)
            yield {
                "label": f"{label}{seen}{step}",
                "head": head,
                "value": figures[metric],
                "interval": f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else "-",
                "segments": file.num_segments,
                "chance": file.chance,
            }
