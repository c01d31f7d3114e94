"""Plain loops for the calibration error (Naeini et al. 2015) and the log loss of single labels."""

import math


def error_and_loss(logits: list[list[float]], labels: list[int]) -> tuple[float, float]:
    """Return the expected calibration error over bins (0, 0.1], (0.1, 0.2], ... and the log loss in
    nats."""
    losses, bins = [], {}
    for row, label in zip(logits, labels, strict=True):
        total = sum(math.exp(value) for value in row)
        shares = [math.exp(value) / total for value in row]
        losses.append(-math.log(shares[label]))
        confidence, guessed = max(shares), shares.index(max(shares))
        bins.setdefault(math.ceil(10 * confidence), []).append((confidence, guessed == label))
    error = 0.0
    for members in bins.values():
        confidence = sum(value for value, _ in members) / len(members)
        accuracy = sum(right for _, right in members) / len(members)
        error += len(members) / len(labels) * abs(confidence - accuracy)
    return error, sum(losses) / len(losses)
