"""Confident learning (Northcutt et al. 2021) in plain loops, for single labels."""


def doubts(probabilities: list[list[float]], labels: list[int]) -> list[tuple[int, int, float]]:
    """Return row, suggested class and margin of the off-diagonal segments of the confident joint
    that the model would label differently, the largest margin first."""
    thresholds = {}
    for label in set(labels):
        own = [
            row[label] for row, given in zip(probabilities, labels, strict=True) if given == label
        ]
        thresholds[label] = sum(own) / len(own)
    found = []
    for number, (row, label) in enumerate(zip(probabilities, labels, strict=True)):
        confident = [(row[at], -at) for at, least in thresholds.items() if row[at] >= least]
        if not confident:
            continue
        suggested = -max(confident)[1]
        if suggested != label and row[suggested] > row[label]:
            found.append((number, suggested, row[suggested] - row[label]))
    return sorted(found, key=lambda each: (-each[2], each[0]))
