"""Training steps: losses (section 5, eq. 12) and gradients of some batches, and one update of the
trained weights.

Each phase has its own optimizer. The learning rate is a function of the step.

B clips, T frames per clip, K object slots, S detector classes including background, A activity
classes, N valid objects.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from orn.shared.errors import ConfigError, TrainingError
from orn.stage2_train.model.inputs import ClipBatch, NetworkOutput, map_tensors
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.model.resnet_25d import Stage, Trunk
from orn.stage2_train.runs.phases import Phase
from orn.stage2_train.settings.model_config import Heads
from orn.stage2_train.settings.recipe import LossRecipe, OptimizerRecipe, Recipe


def activity_loss(logits_BA: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the scalar L1 in eq. (12), averaged over clips.

    Args:
        logits_BA: logits of the prediction.
        labels: (B,) int64 classes for cross-entropy, or (B, A) floats in [0, 1] for binary
            cross-entropy, averaged over classes; entries below 0 are ignored.
        smoothing: label smoothing of cross-entropy (Szegedy et al. 2016).
    """
    if labels.ndim == 1:
        return functional.cross_entropy(logits_BA, labels, label_smoothing=smoothing)
    known_BA = labels >= 0
    loss_BA = functional.binary_cross_entropy_with_logits(
        logits_BA, labels.clamp(min=0), weight=known_BA.to(logits_BA.dtype), reduction="none"
    )
    return loss_BA.sum() / known_BA.sum().clamp(min=1)


def object_class_loss(
    class_logits_BTKS: Tensor,
    labels_BTK: Tensor,
    *,
    valid_BTK: Tensor,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Return the scalar L2 in eq. (12): the cross-entropy of R u (eq. 13) and detected classes.

    Args:
        class_logits_BTKS: R u.
        labels_BTK: int64 detected classes; S - 1 for background objects. Not read in empty slots.
        valid_BTK: bool, whether a slot holds an object.
        reduction: `mean` over the valid objects in the batch, 0 without any; or `sum` over the
            objects in a clip and mean over clips, as in eq. (12). The authors' code also uses a
            mean, but counts padding slots as background.
    """
    loss = functional.cross_entropy(
        class_logits_BTKS[valid_BTK], labels_BTK[valid_BTK], reduction="sum"
    )
    if reduction == "sum":
        return loss / len(valid_BTK)
    return loss / valid_BTK.sum().clamp(min=1)


def total_loss(output: NetworkOutput, batch: ClipBatch, recipe: LossRecipe) -> dict[str, Tensor]:
    """Return `loss`, the weighted sum in eq. (12), and its unweighted terms, by their names in the
    log.

    For a single head, whose own loss is the activity loss, the larger of both weights is that of
    this loss. The object class loss is zero without class logits.
    """
    heads, smoothing = output.head_logits_BA, recipe.label_smoothing
    activity = activity_loss(output.logits_BA, batch.labels, smoothing=smoothing)
    objects = each_head = activity.new_zeros(())
    weight = recipe.activity_loss_weight
    if not heads:
        weight = max(weight, recipe.each_head_loss_weight)
    total = activity if weight == 1 else weight * activity
    if output.class_logits_BTKS is not None:
        objects = object_class_loss(
            output.class_logits_BTKS,
            batch.detector_labels_BTK,
            valid_BTK=batch.valid_BTK,
            reduction=recipe.reduction,
        )
        total = total + recipe.object_loss_weight * objects
    if heads and recipe.each_head_loss_weight:
        of_heads = [activity_loss(own, batch.labels, smoothing=smoothing) for own in heads]
        each_head = torch.stack(of_heads).sum()
        total = total + recipe.each_head_loss_weight * each_head
    losses = {"loss": total, "activity_loss": activity, "object_class_loss": objects}
    return losses | ({"each_head_loss": each_head} if recipe.each_head_loss_weight else {})


def freeze_for(network: nn.Module, phase: Phase) -> None:
    """Freeze the weights that a phase does not train, so that every trained weight has a gradient.

    Phase 1, which trains the object head of a network with both heads, freezes the activity head,
    the trunk of a network without appearance, and optionally the ResNet.
    """
    network.zero_grad(set_to_none=True)  # gradients of frozen weights would contribute to the norm
    network.requires_grad_(True)
    if not isinstance(network, ObjectVideoNetwork):
        return
    if network.backbone is not None:
        network.backbone.requires_grad_(network.backbone.trains)
    head, is_first = network.object_head, phase.heads == "object"
    if network.activity_head is None or head is None:
        return
    if head.first_phase is not None:
        head.first_phase.requires_grad_(is_first)
        head.reasoning.requires_grad_(not is_first)
    if is_first:
        network.activity_head.requires_grad_(False)
    if is_first and not (head.objects.reads_frames and phase.trains_resnet):
        conv5 = [module for module in head.modules() if isinstance(module, Stage)]
        for part in (network.trunk, network.backbone, *conv5):
            if part is not None:
                part.requires_grad_(False)


def compile_backbone(network: nn.Module, *, backend: str = "inductor") -> None:
    """Compile the trunk and each conv5 of a ResNet with torch.compile at their first call.

    Raises:
        ConfigError: if the network has no ResNet.
    """
    stages = [module for module in network.modules() if isinstance(module, Trunk | Stage)]
    if not stages:
        raise ConfigError("compile: requires a ResNet, got another network; omit it")
    inner = {child for stage in stages for child in stage.modules() if child is not stage}
    for stage in stages:
        if stage not in inner:
            stage.compile(backend=backend)


def synchronized(network: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Return the network, wrapped for the parameters of a phase if several processes train it.

    `Accelerator.prepare` would wrap the network only once for all phases.
    """
    if accelerator.num_processes == 1:
        return network
    device = accelerator.device
    return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)


def build_optimizer(
    parameters: Iterable[nn.Parameter], recipe: OptimizerRecipe
) -> torch.optim.Optimizer:
    """Build an optimizer for the parameters that require gradients."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1]},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0},
    ]
    build = torch.optim.AdamW if recipe.name == "adamw" else torch.optim.Adam
    return build(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def step_generator(seed: int, step: int, rank: int, *, of_dropout: bool = False) -> torch.Generator:
    """Return the random generator for a step; dropout has a separate stream, so that it does not
    affect other random numbers."""
    seeds = (seed, step, rank, 1) if of_dropout else (seed, step, rank)
    state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def training_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[ClipBatch],
    *,
    recipe: Recipe,
    heads: Heads,
    step: int,
) -> dict[str, float]:
    """Update the weights with the mean gradient of some batches, and return the values to log.

    Args:
        accelerator: accelerator with the device and precision.
        model: the network, in training mode.
        optimizer: optimizer with the learning rate of the step.
        batches: one or more batches, whose gradients are averaged.
        recipe: recipe of the run.
        heads: heads to train.
        step: index of the step, from 0.

    Raises:
        TrainingError: if a batch, a loss or the gradient is not finite; weights do not change.
    """
    rank = accelerator.process_index
    generator = step_generator(recipe.seed, step, rank)
    torch.manual_seed(step_generator(recipe.seed, step, rank, of_dropout=True).initial_seed())
    optimizer.zero_grad(set_to_none=True)
    means: dict[str, float] = {}
    hits: list[float] = []
    for number, batch in enumerate(batches):
        for cause in batch.not_finite():
            raise TrainingError(
                f"step {step}: expected finite numbers, got NaN or infinity in {cause}; check its "
                "detections with `orn verify`"
            )
        is_last = number == len(batches) - 1
        with nullcontext() if is_last else accelerator.no_sync(model):
            batch = batch.to(accelerator.device)
            with accelerator.autocast():
                output = model(batch, heads=heads, generator=generator)
            output = map_tensors(output, Tensor.float)
            losses = total_loss(output, batch, recipe.losses)
            # One transfer from the device.
            numbers = torch.stack([loss.detach() for loss in losses.values()]).tolist()
            values = dict(zip(losses, numbers, strict=True))
            if not np.isfinite(values["loss"]):
                raise _not_finite(step, [batch], values)
            accelerator.backward(losses["loss"] / len(batches))
        for name, value in values.items():
            means[name] = means.get(name, 0.0) + value / len(batches)
        if batch.labels.ndim == 1:
            right_B = output.logits_BA.detach().argmax(dim=1) == batch.labels
            hits.append(float(right_B.float().mean()))
    limit = recipe.optimizer.gradient_clip
    limit = float("inf") if limit is None else limit
    norm = float(nn.utils.clip_grad_norm_(model.parameters(), limit))  # the norm before clipping
    if not np.isfinite(norm):
        raise _not_finite(step, batches, means | {"gradient_norm": norm})
    optimizer.step()
    accuracy = {"accuracy": float(np.mean(hits))} if hits else {}
    return _mean_of_processes(accelerator, means | accuracy | {"gradient_norm": norm})


def _mean_of_processes(accelerator: Accelerator, values: dict[str, float]) -> dict[str, float]:
    """Return the mean over all processes, each of which trains on some of the step's clips."""
    if accelerator.num_processes == 1:
        return values
    numbers = torch.tensor([*values.values()], dtype=torch.float64, device=accelerator.device)
    return dict(zip(values, accelerator.reduce(numbers, "mean").tolist(), strict=True))


def _not_finite(
    step: int, batches: Sequence[ClipBatch], values: Mapping[str, float]
) -> TrainingError:
    ids = [name for batch in batches for name in batch.ids]
    name, value = next((name, value) for name, value in values.items() if not np.isfinite(value))
    return TrainingError(
        f"step {step}: expected a finite {name}, got {value} in a step with the clips "
        f"{', '.join(ids)}; lower the learning rate, set optimizer.gradient_clip, or use precision "
        "fp32"
    )
