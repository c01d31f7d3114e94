"""Read and check the config of a detector."""

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
    """A config merged with its base files."""

    name: str
    """Name of the file, without its suffix."""
    path: Path
    """The file."""
    config: Config
    """The config as mmengine's type."""
    digest: str
    """"sha256:..." of the model and the test pipeline."""


def read_config(name_or_file: str | Path) -> DetectorConfig:
    """Read a config from a file, or from MMDetection's model zoo by name."""
    path = find_config(name_or_file)
    try:
        config = Config.fromfile(str(path))
    except (Exception, SystemExit) as err:  # a config is code and can raise any exception
        raise DetectorError(f"detector config {path}: cannot be read: {error_text(err)}") from err
    for key in ("model", "test_dataloader"):
        if not isinstance(config.get(key), dict):
            raise DetectorError(
                f"detector config {path}: expected a dict as {key}, got {config.get(key)!r:.80}; "
                "pass an MMDetection config"
            )
    try:
        test_pipeline(config)
    except DetectorError as err:
        raise DetectorError(f"detector config {path}: {err}") from err
    return DetectorConfig(name=path.stem, path=path, config=config, digest=_digest(config))


def test_pipeline(config: Config) -> list[dict[str, Any]]:
    """Return the steps in a config's test pipeline, the first of which must load an image."""
    dataset = config.test_dataloader.get("dataset")
    while isinstance(dataset, dict) and "pipeline" not in dataset:  # wrappers such as RepeatDataset
        dataset = dataset.get("dataset")
    steps = dataset["pipeline"] if isinstance(dataset, dict) else None
    listed = steps if isinstance(steps, list | tuple) else []
    are_steps = all(isinstance(s, dict) and isinstance(s.get("type"), str) for s in listed)
    if not listed or not are_steps or "LoadImage" not in listed[0]["type"]:
        raise DetectorError(
            "expected a test_dataloader.dataset.pipeline whose first step loads an image, such as "
            f"LoadImageFromFile, got {steps!r:.80}"
        )
    return [dict(step) for step in listed]


def error_text(err: BaseException) -> str:
    """Return the message of an error on one line, with its type if the message is short."""
    text = " ".join(str(err).split())
    return text if len(text.split()) > 2 else f"{type(err).__name__} {text}".strip()


def _digest(config: Config) -> str:
    relevant = {"model": config.model.to_dict(), "test_pipeline": test_pipeline(config)}
    text = json.dumps(relevant, sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
