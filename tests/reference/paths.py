"""The score of a path of labels, with loops, from the equation in `intervals.decode`."""

from itertools import groupby
from math import inf, log


def score_of(labels, log_probabilities, paths, weights):
    """The score of labels; minus infinity if a run between two others is too short."""
    total = 0.0
    for label, chances in zip(labels, log_probabilities, strict=True):
        total += chances[label] - weights.prior_exponent * log(paths.prior[label])
    runs = [(label, len([*run])) for label, run in groupby(labels)]
    ways = log(paths.start[runs[0][0]])
    for place, (label, length) in enumerate(runs):
        if 0 < place < len(runs) - 1 and length < paths.least[label]:
            return -inf
        leave = 1 / max(paths.steps[label], 1.001)
        ways += (length - 1) * log(1 - leave)
        if place + 1 < len(runs):
            ways += log(leave * paths.change[label, runs[place + 1][0]])
    return total + weights.path_weight * ways
