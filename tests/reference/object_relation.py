"""Object vectors and the recurrences (eq. 5, 7 to 11) as loops; relations are in object_cliques.

Weights come as the fast modules' state dicts, so that their names are read here, too.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]


def _layer(weights: Weights, name: str, x: Tensor) -> Tensor:
    return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]


def _relu(x: Tensor) -> Tensor:
    return torch.maximum(x, torch.zeros_like(x))


def encode_shape(weights: Weights, mask_hw: Tensor) -> Tensor:
    """b, an MLP of the flattened mask with ReLU after each layer (eq. 7)."""
    shape_b = _relu(_layer(weights, "shape.mlp.0", mask_hw.reshape(-1)))
    return _relu(_layer(weights, "shape.mlp.2", shape_b))


def encode_class(weights: Weights, class_scores_S: Tensor) -> Tensor:
    """c as an MLP of ones at the best class, like that of the mask."""
    best, best_score = len(class_scores_S) - 1, 0.0  # the background, unless a class has a score
    for label in range(len(class_scores_S) - 1):
        if class_scores_S[label] > best_score:
            best, best_score = label, float(class_scores_S[label])
    one_hot_S = torch.zeros(len(class_scores_S), dtype=torch.float64)
    one_hot_S[best] = 1
    return encode_one_hot(weights, one_hot_S)


def encode_one_hot(weights: Weights, one_hot_S: Tensor) -> Tensor:
    """The MLP of the class."""
    class_c = _relu(_layer(weights, "class.mlp.0", one_hot_S))
    return _relu(_layer(weights, "class.mlp.2", class_c))


def gru_states(weights: Weights, inputs: Sequence[Tensor]) -> list[Tensor]:
    """States of a gated recurrent unit (eq. 5 and 9 with the gates the paper leaves out)."""
    width = weights["gru.weight_hh_l0"].shape[1]
    state_R = torch.zeros(width, dtype=torch.float64)
    states = []
    for x in inputs:
        from_input = weights["gru.weight_ih_l0"] @ x + weights["gru.bias_ih_l0"]
        from_state = weights["gru.weight_hh_l0"] @ state_R + weights["gru.bias_hh_l0"]
        reset_R = torch.sigmoid(from_input[:width] + from_state[:width])
        update_R = torch.sigmoid(from_input[width : 2 * width] + from_state[width : 2 * width])
        new_R = torch.tanh(from_input[2 * width :] + reset_R * from_state[2 * width :])
        state_R = (1 - update_R) * new_R + update_R * state_R
        states.append(state_R)
    return states


def sequence_state(weights: Weights, inputs: Sequence[Tensor], states: str = "sum") -> Tensor:
    """(R,) the sum (or mean) over time of the recurrent states (eq. 10 and 11)."""
    total_R = torch.zeros(weights["gru.weight_hh_l0"].shape[1], dtype=torch.float64)
    for state_R in gru_states(weights, inputs):
        total_R = total_R + state_R
    if states == "mean" and inputs:
        total_R = total_R / len(inputs)
    return total_R


def steps_state(weights: Weights, inputs: Sequence[Tensor]) -> Tensor:
    """(R,) the sum over time of an MLP of each step: f of eq. (3) without recurrence."""
    total_R = torch.zeros(len(weights["mlp.2.bias"]), dtype=torch.float64)
    for x in inputs:
        hidden_R = _relu(_layer(weights, "mlp.0", x))
        total_R = total_R + _relu(_layer(weights, "mlp.2", hidden_R))
    return total_R


def statistics_state(inputs: Sequence[Tensor], seconds: Sequence[float], width: int) -> Tensor:
    """(3 D,) mean, standard deviation and trend of all steps; zeros without steps."""
    if not inputs:
        return torch.zeros(3 * width, dtype=torch.float64)
    mean_D = sum(inputs) / len(inputs)
    variance_D = sum((x - mean_D) ** 2 for x in inputs) / len(inputs)
    return torch.cat([mean_D, (variance_D + 1e-5) ** 0.5, trend(inputs, seconds)])


def scaled_statistics(state: Tensor, width: int) -> Tensor:
    """Of g, before their linear layer: twice the means, eight times the others."""
    return torch.cat([2.0 * state[:width], 8.0 * state[width:]])


def trend(inputs: Sequence[Tensor], seconds: Sequence[float]) -> Tensor:
    """(D,) covariance with time, divided by the deviation of time; zeros at a single time."""
    mean_D, mean_time = sum(inputs) / len(inputs), sum(seconds) / len(seconds)
    covariance_D = torch.zeros_like(inputs[0])
    for x, time in zip(inputs, seconds, strict=True):
        covariance_D = covariance_D + (x - mean_D) * (time - mean_time) / len(inputs)
    variance = sum((time - mean_time) ** 2 for time in seconds) / len(seconds)
    return covariance_D / variance**0.5 if variance > 0 else torch.zeros_like(mean_D)


def mean_state(weights: Weights, inputs: Sequence[Tensor]) -> Tensor:
    """(D,) the mean over time ("GAP" in Table 5)."""
    total_D = torch.zeros(weights["classify.weight"].shape[1], dtype=torch.float64)
    for x in inputs:
        total_D = total_D + x
    return total_D / max(len(inputs), 1)


def classify(weights: Weights, state: Tensor) -> Tensor:
    """(A,) logits of what a head ends in."""
    return _layer(weights, "classify", state)
