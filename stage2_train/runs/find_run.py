"""Find a run: the newest one if none is given, which a line on stderr reports; a folder; or a model
on the Hugging Face Hub (the extra `hub`).

A downloaded model is a model folder, which is read as untrusted data: nothing in it is executed.

Heavy imports are inside functions.
"""

import re
from pathlib import Path

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.text import command_line, path_text
from orn.stage2_train.runs.run_folder import MODEL_NAMES, dataset_of, newest_run


def chosen_run(
    run: str | Path | None, dataset: str | None = None, reporter: Reporter = SILENT
) -> Path:
    """Return the folder of a given run, or find the newest run, optionally for one data set, and
    show it.

    Raises:
        ConfigError: if there is no run with weights.
        PipelineError: see `local_folder`.
    """
    from orn.data_manifests.load import load_manifest

    if run is not None:
        return local_folder(run)
    name = None if dataset is None else load_manifest(dataset).name
    newest = newest_run(name)
    if newest is None:
        expected, commands = "a run", "`make demo`, or `make detect DATASET=...` and `orn train`"
        if dataset is not None:
            expected, commands = f"a run on {name}", f"`{command_line('orn', 'train', dataset)}`"
        raise ConfigError(
            f"runs: expected {expected} with best weights, got none; run {commands} first, or pass "
            "the folder of a run"
        )
    reporter.line(f"{newest}: the newest run on {name or dataset_of(newest)}")
    return newest


CARD_NAME = "README.md"
_ADDRESS = re.compile(
    r"hf://(?P<name>[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*)(@(?P<revision>[\w][\w./-]*))?",
    re.ASCII,
)


def local_folder(run: str | Path) -> Path:
    """Return the folder of a run: a path, or for `hf://ORG/NAME` or `hf://ORG/NAME@REVISION` the
    folder in the library's cache, downloaded if it is missing or outdated.

    Raises:
        ConfigError: if the URL is invalid, or huggingface_hub is not installed.
        PipelineError: if the download fails.
    """
    if run == "":  # Path("") would be the current folder
        raise ConfigError("RUN: expected a folder or hf://ORG/NAME, got an empty string; pass one")
    if not str(run).startswith("hf:"):
        return Path(run)
    address = _ADDRESS.fullmatch(str(run))
    if address is None:
        raise ConfigError(
            f"{path_text(str(run))}: expected hf://ORG/NAME or hf://ORG/NAME@REVISION, got a "
            "different format"
        )
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as err:
        raise ConfigError(
            "models on the Hugging Face Hub require the package huggingface_hub; install it with "
            "`pip install 'object-relation-network[hub]'`"
        ) from err
    try:
        folder = snapshot_download(
            address["name"],
            revision=address["revision"],
            allow_patterns=[*MODEL_NAMES, CARD_NAME],
            library_name="object-relation-network",
        )
    except Exception as err:  # of huggingface_hub and its HTTP library
        lines = [line.strip() for line in str(err).splitlines() if line.strip()]
        reason = path_text(" ".join(lines[:2]) or type(err).__name__)
        raise PipelineError(f"{path_text(str(run))}: huggingface_hub failed: {reason}") from err
    return Path(folder)
