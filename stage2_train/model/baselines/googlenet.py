"""First weights of I3D: those of an Inception-v1 trained on ImageNet, repeated over time.

A kernel that reaches k frames holds 1 / k of the 2D kernel at each, so that a still clip gives what
the 2D network gives of its frame (Carreira and Zisserman 2017, section 2.3).
"""

from collections.abc import Mapping

from torch import Tensor

from shared.errors import CheckpointError
from stage2_train.model.baselines.i3d import I3D
from stage2_train.model.imagenet import first_problem

__all__ = ["inflate_googlenet"]

_UNUSED = ("aux1.", "aux2.", "fc.")
"""The classifiers of the 2D network."""
_OURS = "classify."


def inflate_googlenet(network: I3D, googlenet_weights: Mapping[str, Tensor], *, name: str) -> None:
    """Sets everything but the classifier from the state dict of torchvision's GoogLeNet.

    Nothing is changed unless everything fits.

    Args:
        network: changed in place.
        googlenet_weights: `num_batches_tracked` entries may be absent.
        name: what the weights are called in messages, such as their file.

    Raises:
        CheckpointError: if a weight is missing, superfluous or of another shape.
    """
    wanted = {
        key: tensor for key, tensor in network.state_dict().items() if not key.startswith(_OURS)
    }
    given = {
        key: _repeated(tensor, like=wanted.get(key))
        for key, tensor in googlenet_weights.items()
        if not key.startswith(_UNUSED)
    }
    problem = first_problem(wanted, given)
    if problem is not None:
        raise CheckpointError(
            f"GoogLeNet weights {name} do not fit I3D of base width {network.config.base_width}: "
            f"{problem}; give the weights of torchvision's GoogLeNet (base width 64) or start "
            "without weights"
        )
    network.load_state_dict(given, strict=False)


def _repeated(kernel: Tensor, *, like: Tensor | None) -> Tensor:
    """A 2D kernel at every time of a 3D one, over their number; other tensors as they are."""
    if like is None or like.ndim != 5 or kernel.ndim != 4:
        return kernel
    num_times = like.shape[2]
    return kernel[:, :, None].repeat(1, 1, num_times, 1, 1) / num_times
