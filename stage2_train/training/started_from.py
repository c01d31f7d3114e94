"""Fine-tuning with `orn train --from RUN`: initial weights from a previous training run.

Classifier weights, whose size depends on the number of activities, are not loaded and stay random.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from orn.shared.config.bounded import file_digest
from orn.shared.config.toml_files import to_dict
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.same_job import differences
from orn.shared.tensors import mismatch
from orn.shared.text import counted
from orn.stage2_train.model.build import classifier_names, planned_network
from orn.stage2_train.runs.checkpoint import load_best
from orn.stage2_train.runs.run_config import RunConfig, StartedFrom, read_config
from orn.stage2_train.runs.run_folder import BEST_NAME, LAST_NAME
from orn.stage2_train.settings.model_config import NetworkConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PretrainedWeights:
    """Weights from a previous training run."""

    record: StartedFrom
    """Record for the configuration of the new run."""
    config: RunConfig
    """Configuration of the previous training run."""
    digest: str
    """Digest of the weights file."""
    weights: Mapping[str, Tensor]
    """Weights by name, memory-mapped, without classifiers."""

    def load_into(self, network: nn.Module) -> None:
        """Load the weights into a network, and log which weights stay random."""
        network.load_state_dict(dict(self.weights), strict=False)
        logger.info(
            "initial weights from %s (step %d, %s): %s loaded; random: %s",
            self.record.run,
            self.record.step,
            self.record.dataset,
            counted(self.record.num_loaded, "tensor"),
            ", ".join(self.record.random),
        )


def read_pretrained(source: Path, model: NetworkConfig) -> PretrainedWeights:
    """Return the best weights of a run or a model folder for a network with this configuration.

    Raises:
        ConfigError: if the weights are from a different network.
        CheckpointError: if there are no weights yet, or they are corrupt.
    """
    config, best = read_config(source), load_best(source)
    if best is None:
        raise CheckpointError(
            f"{source}: no {BEST_NAME} yet; pass a run with at least one completed validation to "
            "--from"
        )
    theirs = config.recipe.model
    model = replace(model, num_detector_classes=theirs.num_detector_classes)
    new, left = classifier_names(model), classifier_names(theirs)
    weights = {name: each for name, each in best.model.items() if name not in left}
    planned = planned_network(model).state_dict()
    expected = {name: each for name, each in planned.items() if name not in new}
    if problem := mismatch(weights, expected):
        ours, others = (to_dict(each) | {"num_activities": 0} for each in (model, theirs))
        differ = "; ".join(differences(others, ours, words=("there", "here"))) or problem
        raise ConfigError(
            f"--from {source}: the network architecture differs: model: {differ}; train with the "
            "recipe, system and settings of that run"
        )
    return PretrainedWeights(
        config=config,
        record=StartedFrom(
            run=source.resolve().name,
            dataset=config.dataset.name,
            step=best.step,
            num_loaded=len(weights),
            random=tuple(sorted(new)),
        ),
        digest=file_digest(source / BEST_NAME, error=CheckpointError),
        weights=weights,
    )


def recorded_origin(run: Path, recorded: RunConfig | None) -> StartedFrom | None:
    """Return the training run from which an existing run took its initial weights, if any.

    Raises:
        ConfigError: if the run has no checkpoint yet.
    """
    if recorded is None or recorded.started_from is None:
        return None
    if not (run / LAST_NAME).is_file():
        raise ConfigError(
            f"{run}: the run has no checkpoint and still requires the weights of "
            f"{recorded.started_from.run}; pass --from again, or choose a different --run"
        )
    return recorded.started_from
