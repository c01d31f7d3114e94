"""What `orn bench gpu` measures of training: steps, the loader that feeds them, exact resuming."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from orn.benchmarks.detect_inputs import forget_detection
from orn.benchmarks.harness import Measure, Setting, seconds_in_turns
from orn.benchmarks.loader import measure as measure_loading
from orn.benchmarks.loader import recipe_dataset
from orn.benchmarks.loader_inputs import loader_inputs
from orn.benchmarks.model_inputs import ClipSizes, random_batch
from orn.benchmarks.plain_network import PlainNetwork
from orn.benchmarks.train_step import one_step
from orn.stage2_train.devices import build_accelerator
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.recipe import DataRecipe, OptimiserRecipe, PhaseRecipe, Recipe
from orn.stage2_train.training.backbone import apply_backbone_options
from orn.stage2_train.training.loop import TrainingData, train_network
from orn.stage2_train.training.step import build_optimiser

_VLOG_CLIPS = 58_926
_VLOG_CLASSES = 30
_SETTINGS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "fp32": {},
    "bf16-checkpoint": {"precision": "bf16", "checkpoint_activations": True},
    "plain": {},
    "bf16-compile": {"precision": "bf16", "compile": True},
}
"""Of recipes, by name; `plain` is the network of plain loops with NCHW memory, all others are in
channels_last."""


def cells(device: str, *, short: bool) -> Iterator[tuple[str, Measure]]:
    """Steps of both backbones, the loader, and resuming; what compiles for a minute comes last."""
    backbones = ("resnet18",) if short else ("resnet50", "resnet18")
    steps = {
        f"train-{backbone}-{name}": partial(measure_step, backbone=backbone, name=name)
        for name in _SETTINGS
        for backbone in backbones
    }
    yield from ((name, step) for name, step in steps.items() if not name.endswith("compile"))
    yield "loader", measure_loader
    yield "resume", measure_resume
    if device.startswith("cuda"):
        yield from ((name, step) for name, step in steps.items() if name.endswith("compile"))


def measure_step(setting: Setting, *, backbone: Any, name: str) -> dict[str, Any]:
    """Seconds of a training step of both heads, and what an epoch of VLOG's size would take."""
    forget_detection()
    config = NetworkConfig(num_activities=_VLOG_CLASSES, backbone=backbone)
    if setting.short:
        config = replace(config, base_width=8, mask_size=8)
    sizes = ClipSizes(clips=32 if setting.is_cuda and not setting.short else 2, config=config)
    recipe = Recipe(model=config, **_SETTINGS[name])
    accelerator = build_accelerator(recipe.precision, setting.device)
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = True  # as torch has it, and so `orn train`
    torch.backends.cuda.matmul.allow_tf32 = False
    network: Any = ObjectVideoNetwork(config).to(accelerator.device).train()
    if name == "plain":
        network = PlainNetwork(network).train()
    else:
        apply_backbone_options(network, recipe, accelerator.device)
    optimiser = build_optimiser(network.parameters(), recipe.optimiser)
    batch = random_batch(sizes).to(accelerator.device)
    if setting.is_cuda:
        torch.cuda.reset_peak_memory_stats()
    step = partial(one_step, accelerator, network, optimiser, batch, recipe=recipe)
    first = step()
    (seconds,) = seconds_in_turns(step, repeats=1 if setting.short else 5, warm_ups=1)
    rate = sizes.clips / seconds
    return {
        "headline": f"{rate:.1f} clips/s, an epoch of VLOG in {_VLOG_CLIPS / rate / 60:.1f} min",
        "seconds": seconds,
        "clips_per_second": rate,
        "vlog_epoch_seconds": _VLOG_CLIPS / rate,
        "peak_bytes": torch.cuda.max_memory_allocated() if setting.is_cuda else None,
        "first_loss": first,
        **sizes.as_json(),
        "settings": _SETTINGS[name],
        "cudnn_tf32": True,
    }


def measure_loader(setting: Setting) -> dict[str, Any]:
    """Clips a second of one core, against those that the fastest step measured here eats."""
    lengths, clips = ((8, 6), 2) if setting.short else ((160, 92), 40)
    result = measure_loading(
        repeats=1 if setting.short else 3, clips=clips, made_frames=lengths
    ).as_json()
    rates = {
        path.stem: json.loads(path.read_text())["clips_per_second"]
        for path in setting.out.glob("train-*.json")
        if not path.stem.endswith(".failed")
    }
    fastest = max(rates, key=rates.__getitem__, default=None)
    rate = result["clips_per_second"]
    cores = None if fastest is None else rates[fastest] / rate
    eaten = "" if cores is None else f"; {fastest} eats what {cores:.1f} cores make"
    return {
        "headline": f"{rate:.0f} clips/s on a core{eaten}",
        "fastest_step": fastest,
        "cores_for_fastest_step": cores,
        **result,
    }


def measure_resume(setting: Setting) -> dict[str, Any]:
    """Whether a training that is stopped and goes on ends with the same weights as one that is not,
    with deterministic operations."""
    folder = setting.work / "resume"
    folder.mkdir()
    inputs = loader_inputs(folder, None, made_frames=(8, 6) if setting.short else (48, 40))
    model = NetworkConfig(num_activities=2, backbone="resnet18", base_width=8)
    recipe = Recipe(
        model=model,
        data=DataRecipe(crop=(112, 112), clip_frames=2 if setting.short else 4),
        optimiser=OptimiserRecipe(batch_size=2),
        phases=PhaseRecipe(object_head_steps=2, steps=4),
    )
    data = TrainingData(
        train=recipe_dataset(inputs, recipe, num_segments=8), validation=None, metric="top1"
    )
    weights = {}
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        for run, stops in (("whole", (None,)), ("resumed", (1, 3, None))):
            for stop in stops:
                torch.manual_seed(0)
                network = ObjectVideoNetwork(model)
                accelerator = build_accelerator("fp32", setting.device)
                (folder / run).mkdir(exist_ok=True)
                train_network(
                    network, recipe, data, folder / run, accelerator=accelerator, max_steps=stop
                )
            weights[run] = {key: each.cpu() for key, each in network.state_dict().items()}
    finally:
        torch.use_deterministic_algorithms(was_deterministic)
    different = [
        key
        for key, each in weights["whole"].items()
        if not torch.equal(each, weights["resumed"][key])
    ]
    total = len(weights["whole"])
    said = "to the bit" if not different else f"but for {len(different)} of {total} tensors"
    return {
        "headline": f"stopped after 1 and 3 of 6 steps and resumed: the same weights {said}",
        "equal": not different,
        "different": different[:20],
        "steps": 6,
    }
