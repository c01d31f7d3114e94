"""The table of EPIC Kitchens 100's recognition challenge, written plainly from its definitions.

An action is a pair of verb and noun; its score is the product of the softmax of both. A segment is
right among the first k if fewer than k classes have a higher score than its own. Unseen: its person
is in the list. Tail: its verb (its noun) is in the list of tail verbs (nouns); for actions, one of
both is.
"""

import math
from collections.abc import Collection, Sequence

Scores = Sequence[Sequence[float]]


def softmax(row: Sequence[float]) -> list[float]:
    highest = max(row)
    powers = [math.exp(each - highest) for each in row]
    return [each / sum(powers) for each in powers]


def is_right(row: Sequence[float], label: int, first: int) -> bool:
    return sum(each > row[label] for each in row) < first


def epic100_table(
    verb_scores: Scores,
    noun_scores: Scores,
    verbs: Sequence[int],
    nouns: Sequence[int],
    persons: Sequence[str],
    *,
    unseen: Collection[str],
    tail_verbs: Collection[int],
    tail_nouns: Collection[int],
) -> dict[tuple[str, str, str], float | None]:
    """Shares by part (overall, unseen, tail), target and figure; None of no segment."""
    right: dict[tuple[str, str, str], list[bool]] = {}
    for row, (verb, noun) in enumerate(zip(verbs, nouns, strict=True)):
        verb_row, noun_row = softmax(verb_scores[row]), softmax(noun_scores[row])
        pairs = [a * b for a in verb_row for b in noun_row]
        targets = {
            "verb": (verb_row, verb, verb in tail_verbs),
            "noun": (noun_row, noun, noun in tail_nouns),
            "action": (
                pairs,
                verb * len(noun_row) + noun,
                verb in tail_verbs or noun in tail_nouns,
            ),
        }
        for target, (scores, label, is_tail) in targets.items():
            parts = {"overall": True, "unseen": persons[row] in unseen, "tail": is_tail}
            for part, is_in in parts.items():
                for figure, first in (("top1", 1), ("top5", 5)):
                    own = right.setdefault((part, target, figure), [])
                    if is_in:
                        own.append(is_right(scores, label, first))
    return {key: sum(own) / len(own) if own else None for key, own in right.items()}
