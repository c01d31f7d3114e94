"""A detector's configuration: read, checked, and known by its digest."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orn.shared.errors import DetectorError
from orn.stage1_detect.mmdet.library import Config
from orn.stage1_detect.mmdet.zoo import find_config


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """A configuration with all its base files merged."""

    name: str
    """Name of the file, without its ending."""
    path: Path
    """The file."""
    config: Config
    """mmengine's configuration."""
    digest: str
    """"sha256:..." of the network and the test pipeline as they are after merging."""


def read_config(name_or_file: str | Path) -> DetectorConfig:
    """A configuration from a file, or from the model zoo by its name there.

    Raises:
        DetectorError: there is no such file or name, or the file is not a detector's configuration.
    """
    path = find_config(name_or_file)
    try:
        config = Config.fromfile(str(path))
    except (Exception, SystemExit) as err:  # mmengine raises whatever the executed file does
        raise DetectorError(f"detector config {path}: cannot be read: {told(err)}") from err
    for key in ("model", "test_dataloader"):
        if not isinstance(config.get(key), dict):
            found = "no" if config.get(key) is None else f"a {type(config[key]).__name__} as"
            raise DetectorError(
                f"detector config {path}: wanted mmdet's keys model and test_dataloader, "
                f"found {found} {key}"
            )
    try:
        test_pipeline(config)
    except DetectorError as err:
        raise DetectorError(f"detector config {path}: {err}") from err
    return DetectorConfig(name=path.stem, path=path, config=config, digest=_digest(config))


def test_pipeline(config: Config) -> list[dict[str, Any]]:
    """The steps that prepare an image for the network, as the configuration lists them.

    Raises:
        DetectorError: there are none, or the first does not load an image.
    """
    dataset = config.test_dataloader.get("dataset")
    while isinstance(dataset, dict) and "pipeline" not in dataset:  # wrappers, as RepeatDataset
        dataset = dataset.get("dataset")
    steps = dataset["pipeline"] if isinstance(dataset, dict) else None
    if not isinstance(steps, list | tuple) or not steps:
        found = "none" if steps is None else f"{steps!r:.80}"
        raise DetectorError(
            "wanted the steps that prepare a picture, in test_dataloader.dataset.pipeline, "
            f"found {found}"
        )
    for step in steps:
        if not isinstance(step, dict) or not isinstance(step.get("type"), str):
            raise DetectorError(
                "test_dataloader.dataset.pipeline: wanted steps that are a dict with the name of a "
                f"type, found {step!r:.80}"
            )
    if "LoadImage" not in steps[0]["type"]:
        raise DetectorError(
            "test_dataloader.dataset.pipeline: wanted a first step that loads an image, such as "
            f"LoadImageFromFile, found {steps[0]['type']}"
        )
    return [dict(step) for step in steps]


def told(err: BaseException) -> str:
    """What an error of another library says, in one line, with its name where that says little."""
    text = " ".join(str(err).split())
    return text if len(text.split()) > 2 else f"{type(err).__name__} {text}".strip()


def _digest(config: Config) -> str:
    relevant = {"model": config.model.to_dict(), "test_pipeline": test_pipeline(config)}
    text = json.dumps(relevant, sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
