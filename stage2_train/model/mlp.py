"""MLPs: what follows a hidden layer, and how layers start."""

from torch import nn

from orn.stage2_train.model.config import MlpStart


def encoder_mlp(num_inputs: int, width: int, *, dropout: float) -> nn.Sequential:
    """Two layers with a ReLU and dropout after each; layers are called 0 and 2."""
    after = [
        nn.ReLU() if dropout == 0 else nn.Sequential(nn.ReLU(), nn.Dropout(dropout))
        for _ in range(2)
    ]
    return nn.Sequential(nn.Linear(num_inputs, width), after[0], nn.Linear(width, width), after[1])


def start_layers(module: nn.Module, start: MlpStart, *, num_inputs: int | None = None) -> None:
    """Gives every linear layer of a module that a ReLU follows its first weights.

    `torch` leaves them as they are. `he` draws them, from torch's global generator, from a normal
    distribution of variance 2 / inputs and makes the biases zero, so that numbers keep their size
    through any number of layers, and what comes out depends on what goes in and not on the biases.

    Args:
        module: an MLP or one layer.
        start: how.
        num_inputs: of a layer that is kept in parts; none for what each layer reads.
    """
    if start == "torch":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=(2 / (num_inputs or layer.in_features)) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
