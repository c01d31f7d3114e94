"""The table of EPIC Kitchens 100's recognition challenge, written plainly from its definitions.

An action is a pair of verb and noun; its score is the product of the softmax of both. A segment is
right among the first k if fewer than k classes are ahead of its own: those of a higher score, and
of equal ones those that are named first (actions by verb, then by noun). Unseen: its person is in
the list. Tail: its verb (its noun) is in the list of tail verbs (nouns); for actions, one of both
is.
"""

from collections.abc import Collection, Sequence

import numpy as np

EQUAL = 1e-9  # of a score: products of softmaxes round, and made logits are further apart


def softmax(row: Sequence[float]) -> np.ndarray:
    powers = np.exp(np.asarray(row, np.float64) - max(row))
    return powers / powers.sum()


def is_right(scores: np.ndarray, label: int, first: int) -> bool:
    higher = scores > scores[label] * (1 + EQUAL)
    equal = ~higher & (scores > scores[label] * (1 - EQUAL))
    return np.count_nonzero(higher) + np.count_nonzero(equal[:label]) < first


def epic100_table(
    verb_scores: Sequence[Sequence[float]],
    noun_scores: Sequence[Sequence[float]],
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
        targets = {
            "verb": (verb_row, verb, verb in tail_verbs),
            "noun": (noun_row, noun, noun in tail_nouns),
            "action": (
                np.outer(verb_row, noun_row).ravel(),
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
