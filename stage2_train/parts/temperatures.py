"""Calibrated probabilities: temperatures by which logits are divided (Guo et al. 2017, "On
calibration of modern neural networks"), fitted on segments that trained no weights.

A model has P parts: its network, its forest, if any, and, for long videos, its head over time. They
are averaged as log-probabilities, or as log-odds for multiple labels,

    z = (1 / P) * sum over parts of logits / T_part

and the probabilities are softmax(z), or sigmoid(z). Each temperature is fitted alone, then all of
them are multiplied by that of their average. In long videos, whose windows are many, they are then
fitted together: a part that says little beside the others gets a high temperature, and with it a
small share in the average.

N segments, A activity classes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from orn.stage2_train.settings.names import WHOLE

FEWEST_SEGMENTS = 30
"""Segments below which no temperature is fitted."""
_PARTS = 5
"""Parts of a split, each of which gets the temperatures that are fitted on the others."""
_MOST = 100.0
"""Largest temperature; its inverse is the smallest one."""
_Labels = NDArray[np.int64] | NDArray[np.float32]
_Temperature = Annotated[float, Field(ge=1 / _MOST, le=_MOST)]


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
    """What they were fitted from; see `runs.staleness`."""

    def summary(self) -> str:
        """Return what they were fitted on in a sentence."""
        if not self.num_segments:
            return f"not calibrated: expected {FEWEST_SEGMENTS} clips that trained no weights"
        return f"calibrated on {counted(self.num_segments, 'clip')} of {self.fitted_on}"

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartLogits:
    """Logits of the parts of a model for the same segments."""

    network: NDArray[np.float32]
    """(N, A)."""
    forest: NDArray[np.float32] | None
    """(N, A) logarithms of probabilities, or log-odds for multiple labels; None without a
    forest."""
    film: NDArray[np.float32] | None = None
    """(N, A), in the same way, of the head over time; None without one."""

    def rows(self, of_N: NDArray[np.bool_]) -> "PartLogits":
        """Return the logits of some segments."""
        forest, film = (None if own is None else own[of_N] for own in (self.forest, self.film))
        return PartLogits(network=self.network[of_N], forest=forest, film=film)

    @property
    def is_network(self) -> bool:
        """Whether there is a network alone."""
        return self.forest is None and self.film is None

    def by_head(
        self,
        heads: Mapping[str, NDArray[np.float32]],
        temperature_N3: NDArray[np.float64],
    ) -> dict[str, NDArray[np.float32]]:
        """Return (N, A) logits by name in reports; the prediction comes first: the whole model, or
        the network if there is no forest.

        Args:
            heads: logits of the network, of its heads if it has two, of the forest and of the head
                over time, by name.
            temperature_N3: as for `whole`.
        """
        whole_NA = self.whole(temperature_N3).astype(np.float32)
        first = next(iter(heads)) if self.is_network else WHOLE
        return {first: whole_NA, **{name: own for name, own in heads.items() if name != first}}

    def whole(self, temperature_N3: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, A) float64 logits of the whole model: z.

        Args:
            temperature_N3: (N, 3) or (3,) temperatures, in the order of `Temperatures.row`.
        """
        own_3N = np.broadcast_to(temperature_N3, (len(self.network), 3)).T
        scaled = [
            logits_NA.astype(np.float64) / own_N[:, None]
            for logits_NA, own_N in zip((self.network, self.forest, self.film), own_3N, strict=True)
            if logits_NA is not None
        ]
        mean_NA: NDArray[np.float64] = sum(scaled) / len(scaled)
        return mean_NA


def fit_temperatures(
    logits: PartLogits,
    labels: _Labels,
    unsure_NA: NDArray[np.bool_] | None = None,
    *,
    chosen_N: NDArray[np.bool_] | None = None,
    fitted_on: str = "",
) -> Temperatures:
    """Return the temperatures with the least log loss on segments.

    With fewer than 30 segments, none is fitted.

    Args:
        logits: logits of the parts for segments that did not train them.
        labels: (N,) classes, or (N, A) zeros and ones.
        unsure_NA: pairs of segment and class that do not count.
        chosen_N: the segments to fit them on; None for all.
        fitted_on: description of the segments.
    """
    if chosen_N is not None:
        logits, labels = logits.rows(chosen_N), labels[chosen_N]
        unsure_NA = None if unsure_NA is None else unsure_NA[chosen_N]
    if len(labels) < FEWEST_SEGMENTS:
        return NOT_FITTED
    parts = (logits.network, logits.forest, logits.film)
    temperature_3 = np.array(
        [1.0 if own is None else _fitted(own, labels, unsure_NA) for own in parts]
    )
    if not logits.is_network:
        temperature_3 *= _fitted(logits.whole(temperature_3), labels, unsure_NA)
    if logits.film is not None:
        temperature_3 = _fitted_together(logits, labels, unsure_NA, start_3=temperature_3)
    network, forest, film = np.clip(temperature_3, 1 / _MOST, _MOST).tolist()
    return Temperatures(
        network=network,
        forest=forest,
        film=film,
        num_segments=len(labels),
        fitted_on=fitted_on,
    )


def cross_fitted(
    logits: PartLogits,
    labels: _Labels,
    unsure_NA: NDArray[np.bool_] | None,
    *,
    groups: Sequence[str],
) -> NDArray[np.float64]:
    """Return the (N, 3) temperatures of segments, each fitted on the segments of other groups; 1 if
    these are too few.

    Args:
        logits: logits of the parts.
        labels: as for `fit_temperatures`.
        unsure_NA: as for `fit_temperatures`.
        groups: group of each segment, such as its fold or its video; more than five are joined to
            five parts.
    """
    names, group_N = np.unique(np.asarray(groups), return_inverse=True)
    part_N = group_N % _PARTS if len(names) > _PARTS else group_N
    temperature_N3 = np.ones((len(labels), 3))
    for part in np.unique(part_N).tolist():
        others_N = part_N != part
        own = fit_temperatures(logits, labels, unsure_NA, chosen_N=others_N)
        temperature_N3[~others_N] = own.row()
    return temperature_N3


def _fitted(
    logits_NA: NDArray[np.floating], labels: _Labels, unsure_NA: NDArray[np.bool_] | None
) -> float:
    """Return the temperature with the least log loss, which is convex in its inverse."""
    from scipy.optimize import minimize_scalar  # help texts must not import it

    best = minimize_scalar(
        lambda power: log_loss(logits_NA * np.exp(-power), labels, unsure_NA),
        bounds=(-np.log(_MOST), np.log(_MOST)),
        method="bounded",
    )
    return float(np.exp(best.x))


def _fitted_together(
    logits: PartLogits,
    labels: _Labels,
    unsure_NA: NDArray[np.bool_] | None,
    *,
    start_3: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the (3,) temperatures that together have the least log loss, which is convex in their
    inverses."""
    from scipy.optimize import minimize  # help texts must not import it

    best = minimize(
        lambda inverse_3: log_loss(logits.whole(1 / inverse_3), labels, unsure_NA),
        1 / start_3,
        bounds=[(1 / _MOST, _MOST)] * len(start_3),
        method="L-BFGS-B",
    )
    temperature_3: NDArray[np.float64] = 1 / best.x
    return temperature_3


def log_loss(
    logits_NA: NDArray[np.floating], labels: _Labels, unsure_NA: NDArray[np.bool_] | None = None
) -> float:
    """Return the mean of `segment_losses`."""
    return float(segment_losses(logits_NA, labels, unsure_NA).mean())


def segment_losses(
    logits_NA: NDArray[np.floating], labels: _Labels, unsure_NA: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the (N,) negative logarithm of the probability of the true class or, for multiple
    labels, its mean over the labels that are not unsure, in nats."""
    wide_NA = logits_NA.astype(np.float64)
    if labels.ndim == 1:
        chosen_N = np.take_along_axis(wide_NA, labels[:, None].astype(np.int64), axis=1)[:, 0]
        losses_N: NDArray[np.float64] = np.logaddexp.reduce(wide_NA, axis=1) - chosen_N
        return losses_N
    losses_NA = np.logaddexp(0, np.where(labels > 0, -wide_NA, wide_NA))
    sure_NA = np.ones(losses_NA.shape) if unsure_NA is None else ~unsure_NA
    return (losses_NA * sure_NA).sum(axis=1) / np.maximum(sure_NA.sum(axis=1), 1)


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
