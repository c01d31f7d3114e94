"""Temperatures of a model, by which the logits of its parts are divided, and their file."""

import json
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from orn.shared.config.fields import STRICT
from orn.shared.data_files import json_digest, read_json
from orn.shared.errors import CheckpointError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import counted, path_text
from orn.stage2_train.intervals.decoder import Track
from orn.stage2_train.parts import TEMPERATURES_NAME

FEWEST_SEGMENTS = 30
"""Segments below which no temperature is fitted."""
MOST_TEMPERATURE = 100.0
"""Largest temperature; its inverse is the smallest one."""
_Temperature = Annotated[float, Field(ge=1 / MOST_TEMPERATURE, le=MOST_TEMPERATURE)]


@checked_dataclass(frozen=True, kw_only=True, config=STRICT)
class Temperatures:
    """Temperatures of a model; all are 1 if none was fitted."""

    network: _Temperature = 1.0
    forest: _Temperature = 1.0
    film: _Temperature = 1.0
    """Of the head over time."""
    decoder: tuple[Track, ...] = ()
    """How intervals are decoded from the probabilities of windows; empty for clips."""
    num_segments: Annotated[int, Field(ge=0)] = 0
    """Number of segments on which they were fitted; 0 if none was fitted."""
    fitted_on: str = ""
    """Description of these segments, such as `the validation split`."""
    made_from: dict[str, Any] = field(default_factory=dict)
    """What they were fitted from; see `runs.made_from`."""

    def summary(self) -> str:
        """Return what they were fitted on in a sentence."""
        if not self.num_segments:
            return f"not calibrated: expected {FEWEST_SEGMENTS} clips that trained no weights"
        return f"calibrated on {counted(self.num_segments, 'clip')} of {self.fitted_on}"

    def decodes(self, num_classes: int, *, multi_label: bool) -> bool:
        """Return whether the decoder, if there is one, has the classes of a data set."""
        expected = [2] * num_classes if multi_label else [num_classes]
        return not self.decoder or [len(own.prior) for own in self.decoder] == expected

    def row(self) -> NDArray[np.float64]:
        """Return the (3,) temperatures of the network, the forest and the head over time."""
        return np.array([self.network, self.forest, self.film])


NOT_FITTED = Temperatures()


def meaning_of_percentages(fitted_on: str) -> str:
    """Return whether percentages are probabilities, in one sentence.

    Args:
        fitted_on: description of the segments on which temperatures were fitted; empty if none.
    """
    if fitted_on:
        return f"Percentages are probabilities, calibrated on {fitted_on}."
    return "Percentages are not probabilities: the model is not calibrated."


_TEMPERATURES = TypeAdapter(Temperatures)


def write_temperatures(run: Path, temperatures: Temperatures) -> None:
    """Write the temperatures of a run, with their digest.

    Raises:
        PipelineError: if the file cannot be written.
    """
    values = _TEMPERATURES.dump_python(temperatures, mode="json")
    content = {**values, "digest": json_digest(values)}
    write_text(run / TEMPERATURES_NAME, json.dumps(content, indent=1) + "\n")


def read_temperatures(run: Path, *, weights: str) -> Temperatures:
    """Return the temperatures of a run; `NOT_FITTED` if there are none for its weights.

    Args:
        run: run folder or exported run.
        weights: digest of its weights.

    Raises:
        CheckpointError: if the file is damaged or changed.
    """
    path = run / TEMPERATURES_NAME
    temperatures = load_temperatures(path) if path.exists() else NOT_FITTED
    return temperatures if temperatures.made_from.get("weights") == weights else NOT_FITTED


def load_temperatures(path: Path) -> Temperatures:
    """Return the temperatures in a file.

    Raises:
        CheckpointError: if the file is missing, damaged or changed.
    """
    raw = read_json(path, error=CheckpointError)
    try:
        if not isinstance(raw, dict) or raw.pop("digest", None) != json_digest(raw):
            raise ValueError("a different digest")
        return _TEMPERATURES.validate_json(json.dumps(raw))
    except (ValidationError, ValueError) as err:
        raise CheckpointError(
            f"{path_text(path)}: expected the temperatures of a run, got a damaged or changed "
            "file; run the command that trained the run again, which fits them, or export the "
            "model again"
        ) from err
