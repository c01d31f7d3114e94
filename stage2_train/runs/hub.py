"""Models on the Hugging Face Hub, with huggingface_hub (the extra `hub`).

A downloaded model is a model folder, which is read as untrusted data: nothing in it is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.text import path_text
from orn.stage2_train.runs.run_folder import BEST_NAME, CONFIG_NAME

if TYPE_CHECKING:
    from huggingface_hub import HfApi


CARD_NAME = "README.md"
DETECTOR_NAME = "detector.pth"
_NAME = r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*"
_ADDRESS = re.compile(rf"hf://(?P<name>{_NAME})(@(?P<revision>[\w][\w./-]*))?", re.ASCII)


def local_folder(place: str | Path) -> Path:
    """Return the folder of a run: a path, or for `hf://ORG/NAME` or `hf://ORG/NAME@REVISION` the
    folder in the library's cache, downloaded if it is missing or outdated.

    Raises:
        ConfigError: if the URL is invalid, or huggingface_hub is not installed.
        PipelineError: if the download fails.
    """
    if place == "":  # Path("") would be the current folder
        raise ConfigError("RUN: expected a folder or hf://ORG/NAME, got an empty string; pass one")
    if not str(place).startswith("hf:"):
        return Path(place)
    address = _ADDRESS.fullmatch(str(place))
    if address is None:
        raise ConfigError(
            f"{path_text(str(place))}: expected hf://ORG/NAME or hf://ORG/NAME@REVISION, got a "
            "different format"
        )
    with _reporting_errors(str(place)) as hub:
        folder = hub.snapshot_download(
            address["name"],
            revision=address["revision"],
            allow_patterns=[CONFIG_NAME, BEST_NAME, CARD_NAME, DETECTOR_NAME],
        )
    return Path(folder)


def check_hub_name(name: str) -> None:
    """Raise ConfigError if a name is not ORG/NAME, or huggingface_hub is not installed."""
    if re.fullmatch(_NAME, name, re.ASCII) is None:
        raise ConfigError(f"--push {path_text(name)}: expected ORG/NAME, got a different format")
    _hub()


def push_folder(folder: Path, name: str, files: Sequence[str], *, private: bool = False) -> str:
    """Upload files from a folder in one commit, creating the repository if needed, and return its
    URL.

    Raises:
        ConfigError: see `check_hub_name`.
        PipelineError: if the upload fails.
    """
    check_hub_name(name)
    with _reporting_errors(f"--push {name}") as hub:
        made = hub.create_repo(name, private=private or None, exist_ok=True)
        hub.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            allow_patterns=list(files),
            commit_message="Upload a model of object-relation-network",
        )
    return str(made)


def _hub() -> HfApi:
    try:
        from huggingface_hub import HfApi
    except ModuleNotFoundError as err:
        raise ConfigError(
            "models on the Hugging Face Hub require the package huggingface_hub; install it with "
            "`pip install 'object-relation-network[hub]'`"
        ) from err
    return HfApi(library_name="object-relation-network")


@contextmanager
def _reporting_errors(what: str) -> Iterator[HfApi]:
    """Convert all exceptions of huggingface_hub and its HTTP library to `PipelineError`."""
    hub = _hub()
    try:
        yield hub
    except Exception as err:
        lines = [line.strip() for line in str(err).splitlines() if line.strip()]
        reason = path_text(" ".join(lines[:2]) or type(err).__name__)
        raise PipelineError(f"{path_text(what)}: huggingface_hub failed: {reason}") from err
