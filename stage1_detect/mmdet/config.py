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
            raise DetectorError(
                f"detector config {path}: expected mmdet's keys model and test_dataloader, got "
                f"{config.get(key)!r:.80} as {key}"
            )
    try:
        test_pipeline(config)
    except DetectorError as err:
        raise DetectorError(f"detector config {path}: {err}") from err
    return DetectorConfig(name=path.stem, path=path, config=config, digest=_digest(config))


def test_pipeline(config: Config) -> list[dict[str, Any]]:
    """Return the steps that prepare an image for the network, as the configuration lists them.

    Raises:
        DetectorError: there are none, or the first does not load an image.
    """
    dataset = config.test_dataloader.get("dataset")
    while isinstance(dataset, dict) and "pipeline" not in dataset:  # wrappers, as RepeatDataset
        dataset = dataset.get("dataset")
    steps = dataset["pipeline"] if isinstance(dataset, dict) else None
    listed = steps if isinstance(steps, list | tuple) else []
    are_steps = all(isinstance(s, dict) and isinstance(s.get("type"), str) for s in listed)
    if not listed or not are_steps or "LoadImage" not in listed[0]["type"]:
        raise DetectorError(
            "expected the steps that prepare a picture, in test_dataloader.dataset.pipeline, the "
            f"first of which loads it, such as LoadImageFromFile, got {steps!r:.80}"
        )
    return [dict(step) for step in listed]


def told(err: BaseException) -> str:
    """What an error of another library says, in one line, with its name where that says little."""
    text = " ".join(str(err).split())
    return text if len(text.split()) > 2 else f"{type(err).__name__} {text}".strip()


def _digest(config: Config) -> str:
    relevant = {"model": config.model.to_dict(), "test_pipeline": test_pipeline(config)}
    text = json.dumps(relevant, sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
