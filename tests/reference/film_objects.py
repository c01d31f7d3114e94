"""Features of followed objects and their statistics over time, with loops in float64."""

import math


def features(boxes, is_there, rate):
    """Rows of features, given boxes[t][k] of five numbers and is_there[t][k]."""
    rows = []
    for time, own in enumerate(boxes):
        there, classes = is_there[time], range(len(own))
        row = [value * there[k] for k in classes for value in own[k]]
        row += [float(there[k]) for k in classes]
        for k in classes:
            columns = [[other[k][column] for other in boxes] for column in range(5)]
            row += [_change(values, time, rate) * there[k] for values in columns]
        for other in (0, 1):
            for k in classes:
                if other < len(own) and there[k] and there[other]:
                    row += _pair(boxes, time, k, other, rate)
                else:
                    row += [0.0] * 5
        rows.append(row)
    return rows


def _pair(boxes, time, one, other, rate):
    across, down = (
        _center(boxes[time][one], axis) - _center(boxes[time][other], axis) for axis in (0, 1)
    )
    distances = [
        math.dist(
            [_center(row[one], axis) for axis in (0, 1)],
            [_center(row[other], axis) for axis in (0, 1)],
        )
        for row in boxes
    ]
    first, second = boxes[time][one], boxes[time][other]
    gap = sum(
        max(first[axis] - second[axis + 2], second[axis] - first[axis + 2], 0) for axis in (0, 1)
    )
    return [across, down, distances[time], gap, _change(distances, time, rate)]


def _center(box, axis):
    return (box[axis] + box[axis + 2]) / 2


def _change(values, time, rate):
    """Central differences, one-sided ones at both ends."""
    before, after = max(time - 1, 0), min(time + 1, len(values) - 1)
    return (values[after] - values[before]) / (after - before) * rate if after > before else 0.0


def over_time(rows, reach):
    """Mean, deviation, and the last third minus the first third, of rows around each."""
    result = []
    for time in range(len(rows)):
        near = [
            rows[min(max(at, 0), len(rows) - 1)] for at in range(time - reach, time + reach + 1)
        ]
        third = max(len(near) // 3, 1)
        columns = list(zip(*near, strict=True))
        means = [sum(own) / len(own) for own in columns]
        deviations = [
            math.sqrt(sum((value - mean) ** 2 for value in own) / len(own))
            for own, mean in zip(columns, means, strict=True)
        ]
        changes = [sum(own[-third:]) / third - sum(own[:third]) / third for own in columns]
        result.append([*means, *deviations, *changes])
    return result
