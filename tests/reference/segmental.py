"""Segmental F1 and edit score, written from the evaluation code that is published with MS-TCN
(Farha and Gall 2019), and average precision from that of ActivityNet (Heilbron et al. 2015)."""

import numpy as np


def segments_of(labels, background):
    """Labels, starts and ends of the runs of a sequence."""
    names, starts, ends = [], [], []
    last = labels[0]
    if labels[0] != background:
        names.append(labels[0])
        starts.append(0)
    for index in range(len(labels)):
        if labels[index] != last:
            if labels[index] != background:
                names.append(labels[index])
                starts.append(index)
            if last != background:
                ends.append(index)
            last = labels[index]
    if last != background:
        ends.append(index + 1)
    return names, starts, ends


def f_score(found, true, overlap, background):
    """True positives, false positives and false negatives."""
    names, starts, ends = segments_of(found, background)
    true_names, true_starts, true_ends = segments_of(true, background)
    positives = false_positives = 0
    hits = np.zeros(len(true_names))
    for j in range(len(names)):
        if not true_names:
            false_positives += 1
            continue
        intersection = np.minimum(ends[j], true_ends) - np.maximum(starts[j], true_starts)
        union = np.maximum(ends[j], true_ends) - np.minimum(starts[j], true_starts)
        same = [names[j] == true_names[x] for x in range(len(true_names))]
        shares = (1.0 * intersection / union) * same
        index = np.array(shares).argmax()
        if shares[index] >= overlap and not hits[index]:
            positives += 1
            hits[index] = 1
        else:
            false_positives += 1
    return positives, false_positives, len(true_names) - sum(hits)


def edit_score(found, true, background):
    """100 (1 - Levenshtein distance / length of the longer one)."""
    one, other = segments_of(found, background)[0], segments_of(true, background)[0]
    rows, columns = len(one), len(other)
    if not rows and not columns:
        return 100.0
    table = np.zeros([rows + 1, columns + 1])
    for i in range(rows + 1):
        table[i, 0] = i
    for i in range(columns + 1):
        table[0, i] = i
    for j in range(1, columns + 1):
        for i in range(1, rows + 1):
            if other[j - 1] == one[i - 1]:
                table[i, j] = table[i - 1, j - 1]
            else:
                table[i, j] = min(table[i - 1, j], table[i, j - 1], table[i - 1, j - 1]) + 1
    return (1 - table[-1, -1] / max(rows, columns)) * 100


def average_precision(true, found, overlap):
    """Average precision of one class.

    Args:
        true: (video, start, end) of true intervals.
        found: (video, start, end, score) of found intervals, without equal scores.
        overlap: least intersection over union.
    """
    if not found:
        return 0.0
    locked = np.full(len(true), -1)
    order = sorted(range(len(found)), key=lambda row: -found[row][3])
    right, wrong = np.zeros(len(found)), np.zeros(len(found))
    for place, row in enumerate(order):
        video, start, end, _ = found[row]
        own = [index for index, other in enumerate(true) if other[0] == video]
        if not own:
            wrong[place] = 1
            continue
        shares = []
        for index in own:
            _, first, last = true[index]
            common = max(min(end, last) - max(start, first), 0)
            shares.append(common / ((last - first) + (end - start) - common))
        for best in np.argsort(shares)[::-1]:
            if shares[best] < overlap:
                wrong[place] = 1
                break
            if locked[own[best]] >= 0:
                continue
            right[place] = 1
            locked[own[best]] = row
            break
        if right[place] == 0 and wrong[place] == 0:
            wrong[place] = 1
    right, wrong = np.cumsum(right), np.cumsum(wrong)
    recall, precision = right / len(true), right / (right + wrong)
    precision = np.hstack([[0], precision, [0]])
    recall = np.hstack([[0], recall, [1]])
    for i in range(len(precision) - 1)[::-1]:
        precision[i] = max(precision[i], precision[i + 1])
    steps = np.where(recall[1:] != recall[:-1])[0] + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * precision[steps]))
