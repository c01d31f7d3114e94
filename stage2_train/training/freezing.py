"""Which weights a phase moves, and that processes move them alike."""

from accelerate import Accelerator
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from stage2_train.model.network import ObjectVideoNetwork
from stage2_train.runs.phases import Phase


def freeze_for(network: nn.Module, phase: Phase) -> None:
    """Leaves out of training what a phase does not use or shall not move: each trained weight then
    has a gradient.

    While only the object head of two is trained, that is the activity head, the trunk of a network
    whose objects have no appearance, and the whole ResNet where the phase does not train it.
    """
    network.zero_grad(set_to_none=True)  # of what no longer moves, it would count in the norm
    network.requires_grad_(True)
    if not isinstance(network, ObjectVideoNetwork) or network.config.heads != "both":
        return
    is_first, objects = phase.heads == "object", network.object_head
    if objects.first_phase is not None:
        objects.first_phase.requires_grad_(is_first)
        objects.reasoning.requires_grad_(not is_first)
    if is_first:
        network.activity_head.requires_grad_(False)
        sees_frames = network.config.object_head_sees_frames
        network.trunk.requires_grad_(sees_frames and phase.trains_resnet)
        if sees_frames:
            objects.conv5.requires_grad_(phase.trains_resnet)


def synchronised(network: nn.Module, accelerator: Accelerator) -> nn.Module:
    """The network, wrapped anew for the parameters that a phase trains if processes share them.

    `Accelerator.prepare` is not used for it: it wraps a network once, and then for all phases.
    """
    if accelerator.num_processes == 1:
        return network
    device = accelerator.device
    return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
