"""Models on the Hugging Face Hub, with the functions of huggingface_hub, the extra `hub`.

What comes from there is a model folder like any other: read as data, checked, nothing in it run.
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
    """The folder of a run: the path as it is, or for `hf://ORG/NAME` or
    `hf://ORG/NAME@REVISION` the one in the library's cache, fetched where it is not the newest.

    Raises:
        ConfigError: if the address is none, or huggingface_hub is not installed.
        PipelineError: if it cannot be fetched and is not in the cache.
    """
    if place == "":  # which would mean the current folder
        raise ConfigError("RUN: expected a folder or hf://ORG/NAME, got an empty text; name one")
    if not str(place).startswith("hf:"):
        return Path(place)
    address = _ADDRESS.fullmatch(str(place))
    if address is None:
        raise ConfigError(
            f"{path_text(str(place))}: wanted hf://ORG/NAME or hf://ORG/NAME@REVISION, found "
            "another form"
        )
    with _said_in_a_line(str(place)) as hub:
        folder = hub.snapshot_download(
            address["name"],
            revision=address["revision"],
            allow_patterns=[CONFIG_NAME, BEST_NAME, CARD_NAME, DETECTOR_NAME],
        )
    return Path(folder)


def check_hub_name(name: str) -> None:
    """Raises ConfigError if a name is not ORG/NAME, or huggingface_hub is not installed."""
    if re.fullmatch(_NAME, name, re.ASCII) is None:
        raise ConfigError(f"--push {path_text(name)}: wanted ORG/NAME, found another form")
    _hub()


def push_folder(folder: Path, name: str, files: Sequence[str], *, private: bool = False) -> str:
    """Uploads files of a folder in one commit, into a repository that is made where there is none;
    its address.

    Raises:
        ConfigError: as `check_hub_name`.
        PipelineError: if the hub refuses; says why.
    """
    check_hub_name(name)
    with _said_in_a_line(f"--push {name}") as hub:
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
            "models on the Hugging Face Hub: wanted the Python package huggingface_hub, found "
            "none; pip install 'object-relation-network[hub]'"
        ) from err
    return HfApi(library_name="object-relation-network")


@contextmanager
def _said_in_a_line(what: str) -> Iterator[HfApi]:
    """Whatever the library, or the HTTP library below it, raises."""
    hub = _hub()
    try:
        yield hub
    except Exception as err:
        lines = [line.strip() for line in str(err).splitlines() if line.strip()]
        reason = path_text(" ".join(lines[:2]) or type(err).__name__)
        raise PipelineError(f"{path_text(what)}: the hub or the library refused: {reason}") from err
