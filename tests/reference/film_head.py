"""The head over time, with loops in float64."""

import numpy as np


def convolved(input_CT, weight_OCK, bias_O, dilation=1):
    """A convolution over time with zeros beyond both ends."""
    _, times = input_CT.shape
    outputs, _, width = weight_OCK.shape
    result = np.zeros((outputs, times))
    for output in range(outputs):
        for time in range(times):
            total = float(bias_O[output])
            for tap in range(width):
                at = time + (tap - width // 2) * dilation
                if 0 <= at < times:
                    total += float(weight_OCK[output, :, tap] @ input_CT[:, at])
            result[output, time] = total
    return result


def logits(weights, features_ST, *, stages, layers):
    """The (A, T) logits of the last stage, of a network without dropout."""
    own = features_ST
    for stage in range(stages):
        prefix = f"stages.{stage}"
        hidden = convolved(own, *_part(weights, f"{prefix}.first"))
        for layer in range(layers):
            name = f"{prefix}.layers.{layer}"
            wide = convolved(hidden, *_part(weights, f"{name}.dilated"), dilation=2**layer)
            hidden = hidden + convolved(np.maximum(wide, 0), *_part(weights, f"{name}.mix"))
        last = convolved(hidden, *_part(weights, f"{prefix}.last"))
        raised = np.exp(last - last.max(axis=0))
        own = raised / raised.sum(axis=0)
    return last


def _part(weights, name):
    return weights[f"{name}.weight"], weights[f"{name}.bias"]
