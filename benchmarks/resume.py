"""Check that a training run is bit-identical if stopped and resumed, on any device.

    python -m orn.benchmarks.resume --device cuda --out FILE

`orn bench gpu` runs this check; on a CPU, tests do.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from orn.benchmarks.loader import loader_inputs, recipe_dataset
from orn.benchmarks.measuring import describe_machine, write_record
from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import DataRecipe, OptimizerRecipe, PhaseRecipe, Recipe
from orn.stage2_train.training.loop import TrainingData, train_network

_MODEL = NetworkConfig(num_activities=2, backbone="resnet18", base_width=8)
_RECIPE = Recipe(
    model=_MODEL,
    data=DataRecipe(crop=(112, 112), clip_frames=2),
    optimizer=OptimizerRecipe(batch_size=2),
    phases=PhaseRecipe(object_head_epochs=1, epochs=1),
)


def resume(device: str, out: Path) -> None:
    """Compare the weights after 8 steps with those of a run stopped after 1 and 3 steps."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    with tempfile.TemporaryDirectory() as name:
        inputs = loader_inputs(Path(name), None, made_frames=(48, 40))
        clips = recipe_dataset(inputs, _RECIPE, num_segments=8)
        data = TrainingData(train=clips, validation=None, metric="top1")
        whole = _weights(Path(name) / "whole", data, None, device=device)
        resumed = _weights(Path(name) / "resumed", data, 1, 3, None, device=device)
    different = [key for key, weight in whole.items() if not torch.equal(weight, resumed[key])]
    record = {"equal": not different, "different": different, "device": device}
    write_record(record | {"machine": describe_machine()}, out)


def _weights(
    run: Path, data: TrainingData, *stops: int | None, device: str
) -> dict[str, torch.Tensor]:
    """Return the weights from a run that is stopped after the given steps."""
    run.mkdir()
    for stop in stops:
        torch.manual_seed(0)
        network = build_object_network(_MODEL)
        accelerator = build_accelerator("fp32", device)
        train_network(
            network, _RECIPE, data, run, config="", accelerator=accelerator, max_steps=stop
        )
    return {key: weight.cpu() for key, weight in network.state_dict().items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, required=True)
    resume(**vars(parser.parse_args()))
