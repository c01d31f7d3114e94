"""MLPs of the object head and their initialization."""

from torch import nn

from orn.stage2_train.settings.model_config import MlpInitialization


def encoder_mlp(num_inputs: int, width: int, *, dropout: float) -> nn.Sequential:
    """Return two linear layers, named 0 and 2, each followed by ReLU and dropout."""
    after = [
        nn.ReLU() if dropout == 0 else nn.Sequential(nn.ReLU(), nn.Dropout(dropout))
        for _ in range(2)
    ]
    return nn.Sequential(nn.Linear(num_inputs, width), after[0], nn.Linear(width, width), after[1])


def initialize_layers(
    module: nn.Module, initialization: MlpInitialization, *, num_inputs: int | None = None
) -> None:
    """Initialize the linear layers of a module, each of which precedes a ReLU.

    `torch` leaves PyTorch's default weights. `he` draws weights from a normal distribution with
    variance 2 / inputs, using PyTorch's global generator, and sets biases to zero; activations then
    keep their scale through any number of layers (He et al. 2015).

    Args:
        module: an MLP or a single layer.
        initialization: `torch` or `he`.
        num_inputs: number of inputs to a layer stored in parts; None for each layer's own number.
    """
    if initialization == "torch":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=(2 / (num_inputs or layer.in_features)) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
