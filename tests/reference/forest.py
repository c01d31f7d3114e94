"""Plain loops for the class shares of a random forest (Breiman 2001), by clip and tree."""

from orn.stage2_train.parts.forest import Forest


def forest_shares(forest: Forest, statistics_S: list[float]) -> list[float]:
    """Return the A mean shares of one clip, whose statistics are float32 values."""
    totals = [0.0] * forest.num_classes
    for root in forest.roots.tolist():
        node = root
        while forest.feature[node] >= 0:
            goes_right = statistics_S[forest.feature[node]] > forest.threshold[node]
            node = int(forest.children[node, 1 if goes_right else 0])
        for entry in range(forest.offsets[node], forest.offsets[node + 1]):
            totals[forest.classes[entry]] += float(forest.shares[entry])
    return [total / len(forest.roots) for total in totals]
