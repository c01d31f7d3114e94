"""The digest of a run's configuration, without the paths of its data, stored with the weights.

A damaged configuration would change results without an error.

Nothing here imports torch, because `orn runs` reads many configurations.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orn.shared.config.bounded import open_file, read_json
from orn.shared.data_files import is_there
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.text import path_text
from orn.stage2_train.runs.run_folder import BEST_NAME, CONFIG_DIGEST, CONFIG_NAME

MAX_BYTES = 4 << 20
"""Maximum size of the configuration; the names of 100,000 classes take about 3 MB."""
_MOST_HEADER_BYTES = 4 << 20
_PATHS = "places"


def config_digest(run: Path) -> str:
    """Return the digest, `sha256:...`, of the configuration in a run folder.

    Raises:
        ConfigError: if the file is missing, too large or not JSON.
    """
    return _digest(read_json(run / CONFIG_NAME, most_bytes=MAX_BYTES))


def check_digest(run: Path, raw: dict[str, Any], names: Sequence[str]) -> None:
    """Compare a configuration with the digest in the first readable file of weights.

    Args:
        run: run folder.
        raw: content of its configuration.
        names: names of files of weights, which need not exist.

    Raises:
        ConfigError: if the digest differs.
        CheckpointError: if all these files are damaged, or the file has no digest.
    """
    there = [run / name for name in names if is_there(run / name)]
    for path in there:
        try:
            stored = _metadata(path).get(CONFIG_DIGEST)
        except CheckpointError:
            if path == there[-1]:
                raise
            continue
        if stored is None:
            raise CheckpointError(
                f"{path_text(path)}: expected weights with a digest of {CONFIG_NAME}, got weights "
                "from an older release or a different program; train again in a different --run"
            )
        if stored != _digest(raw):
            raise ConfigError(
                f"{path_text(run / CONFIG_NAME)}: expected the configuration used to train "
                f"{path.name}, got a damaged or different one; restore it, or train again in a "
                "different --run"
            )
        return


def no_weights(run: Path) -> CheckpointError:
    """Return the error for a run without its best weights."""
    return CheckpointError(
        f"{path_text(run)}: no {BEST_NAME} yet; `orn train` writes it after the first validation, "
        "and `orn export` copies it"
    )


def _digest(raw: dict[str, Any]) -> str:
    decisive = {name: value for name, value in raw.items() if name != _PATHS}
    return f"sha256:{hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()}"


def _metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a safetensors file without reading its tensors."""
    with open_file(path, error=CheckpointError) as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(size) if size <= _MOST_HEADER_BYTES else b""
    try:
        return dict(json.loads(header)["__metadata__"])
    except (ValueError, LookupError, TypeError, RecursionError) as err:
        raise CheckpointError(
            f"{path_text(path)}: expected the weights of a run, got a damaged or different file; "
            "restore it, or download, export or train the model again"
        ) from err
