"""The job behind `orn export`: the network of a run as a folder to take along."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from shared.config.bounded import file_digest, shown
from shared.errors import ConfigError, DetectorError
from shared.jobs.atomic_file import replacing, write_text
from shared.manifests.load import shipped_detectors
from stage2_train.predict.card import model_card
from stage2_train.predict.opened import open_model
from stage2_train.runs.hub import CARD_NAME, DETECTOR_NAME
from stage2_train.runs.model_folder import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    ModelConfig,
    is_model_folder,
    write_model_folder,
)


def export_run(
    run: Path, out: Path, *, with_detector: bool = False, checkpoint: Path | None = None
) -> tuple[str, ...]:
    """Writes the best weights of a run, what they need and a model card; says which files.

    Each file is whole or absent, and what was exported into the folder before is replaced.

    Args:
        run: folder of a run.
        out: folder; made where there is none.
        with_detector: whether the detector's weights come along.
        checkpoint: file of these; None takes those of the project.

    Raises:
        ConfigError: if `run` is no run, or `out` holds other things.
        CheckpointError: if the run has no weights that can be used.
        DetectorError: if the detector's weights are not known, or others.
        PipelineError: if the disk refuses.
    """
    if is_model_folder(run):
        raise ConfigError(f"{run}: is the folder of a model already; copy it as it is")
    _check_out(out)
    model = open_model(run, device="cpu")
    config = model.config
    detector = _detector_file(config, checkpoint) if with_detector else None
    names = [CONFIG_NAME, WEIGHTS_NAME, CARD_NAME]
    with torch.inference_mode():
        config = replace(config, detector_file=None if detector is None else DETECTOR_NAME)
        written = write_model_folder(out, config, model.network)
    if detector is not None:
        with replacing(out / DETECTOR_NAME) as temporary:
            shutil.copyfile(detector, temporary)
        names.append(DETECTOR_NAME)
    write_text(out / CARD_NAME, model_card(written, run, name=out.resolve().name))
    return tuple(names)


def _check_out(out: Path) -> None:
    """Raises ConfigError where a folder holds what no export wrote."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{shown(out)}: wanted a folder to write to, found a file")
    others = sorted(each.name for each in out.iterdir()) if out.is_dir() else []
    if others and CONFIG_NAME not in others:
        raise ConfigError(
            f"{shown(out)}: wanted an empty folder or one of an earlier export, found "
            f"{shown(others[0])} in it; choose another"
        )


def _detector_file(config: ModelConfig, checkpoint: Path | None) -> Path:
    """The weights of the detector that a network was trained with."""
    wanted = config.dataset.detector.rpartition(" ")[2]
    candidates = [checkpoint] if checkpoint is not None else []
    if checkpoint is None:
        candidates = [each.checkpoint for each in shipped_detectors().values() if each.checkpoint]
    for path in candidates:
        if file_digest(path, error=DetectorError) == wanted:
            return path
    found = "they are not part of this installation" if checkpoint is None else f"{checkpoint} has"
    more = "; say --checkpoint FILE" if checkpoint is None else " others"
    raise DetectorError(f"--with-detector: wanted the weights {wanted}, {found}{more}")
