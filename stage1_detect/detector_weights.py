"""Load weights into detectors, without code from files."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from orn.shared.config.fields import described
from orn.shared.data_files import file_digest
from orn.shared.errors import DetectorError
from orn.shared.text import path_text, truncate
from orn.shared.torch_files import mismatch, read_torch_file, tensors_in

_HISTORIES = (
    "__builtin__ getattr",
    "mmengine.logging.history_buffer HistoryBuffer",
    "numpy dtype",
    "numpy ndarray",
    *(
        f"numpy.{core}.multiarray {name}"
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
)
"""Further names in mmengine's checkpoints: the history of losses, in NumPy arrays."""


def load_weights(
    model: nn.Module, checkpoint: Path, *, config_name: str
) -> tuple[str, tuple[str, ...] | None]:
    """Load weights into a model; return the digest of the file, and the names of the classes if
    they are in it.

    The file is a checkpoint of MMDetection (a dict with `state_dict`) or a plain state dict, such
    as torchvision's. No code in it is executed.

    Raises:
        DetectorError: if the file cannot be read, or the weights do not match the model.
    """
    weights, class_names = _read_weights(checkpoint)
    expected = model.state_dict()
    weights = {  # the demo's weights are stored in half precision
        name: weight.to(expected[name].dtype) if name in expected else weight
        for name, weight in weights.items()
    }
    if problem := mismatch(weights, expected):
        raise DetectorError(
            f"checkpoint {checkpoint}: weights do not match the config {config_name}: {problem}; "
            "pass the config used for training, download the file again, or use --detector for "
            "another network"
        )
    model.load_state_dict(weights)
    return file_digest(checkpoint, error=DetectorError), class_names


def _read_weights(checkpoint: Path) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    """Return weights by name, and the names of the classes."""
    content = read_torch_file(
        checkpoint, what="a detector's weights", dropped=_HISTORIES, error=DetectorError
    )
    weights = tensors_in(content.get("state_dict", content) if isinstance(content, dict) else None)
    if not weights:
        got = described(content)
        if isinstance(content, dict):
            names = [*map(str, content)]
            got = f"the entries {truncate(', '.join(names))}" if names else "no entries"
        raise DetectorError(
            f"{path_text(checkpoint)}: expected a dict of tensors, or one under 'state_dict', got "
            f"{got}; pass a detector's weights"
        )
    meta = content.get("meta")
    of_dataset = meta.get("dataset_meta") if isinstance(meta, dict) else None
    classes = _names_in(of_dataset, "classes") or _names_in(meta, "CLASSES")  # from mmdet 2
    return {key.removeprefix("module."): weight for key, weight in weights.items()}, classes


def _names_in(content: Any, key: str) -> tuple[str, ...] | None:
    """Return the names under a key of a dict, or None."""
    names = content.get(key) if isinstance(content, dict) else None
    names = (names,) if isinstance(names, str) else names
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None
