"""The job behind `orn model export`: the ResNet of a run as a file that others start from."""

from pathlib import Path

from shared.tensor_file import save_tensors
from stage2_train.model.build import build_network
from stage2_train.model.image_weights import export_resnet
from stage2_train.runs.checkpoint import BEST_NAME, load_checkpoint, load_weights
from stage2_train.runs.run_config import load_run_config


def export_weights(run: Path, out: Path) -> int:
    """Writes the 2D ResNet of a run's best checkpoint as a state dict with torchvision's names.

    Returns:
        Number of weights (tensors) written.

    Raises:
        CheckpointError: if the run has no best checkpoint, or a damaged one.
        ConfigError: if its network holds no 2D ResNet.
    """
    network = build_network(load_run_config(run).recipe.model)
    load_weights(network, load_checkpoint(run / BEST_NAME), path=run / BEST_NAME)
    weights = export_resnet(network)
    save_tensors(out, weights)
    return len(weights)
