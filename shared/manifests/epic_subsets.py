"""Parts of EPIC Kitchens that its publishers measure by themselves, with their definitions.

Classes are numbers as `EpicVocabulary.labels` gives them.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from orn.shared.data_files import not_a_file
from orn.shared.manifests.records import Subset
from orn.shared.manifests.schema import Epic100Labels, EpicTarget
from orn.shared.manifests.text_files import read_rows

_MANY = 100
"""Segments; a class with more has many shots."""


def many_shot(labels: Iterable[int], *, target: EpicTarget, num_nouns: int) -> Subset:
    """The many-shot classes of EPIC Kitchens 55, from the label of each row of its action table.

    "A verb class is considered many shot if it appears more than 100 times in training", a noun
    likewise. An action is one "if both the verb class and noun class are many shot and the action
    class appears in training at least once" (README of epic-kitchens-55-annotations). "Training"
    is the whole published table, so persons that the manifest validates on count, too; the
    classes are then those of EPIC_many_shot_verbs.csv, _nouns.csv and _actions.csv.
    """
    times = Counter(labels)
    if target != "action":
        chosen = [label for label, number in times.items() if number > _MANY]
        return Subset(name="many_shot", classes=tuple(sorted(chosen)))
    verbs, nouns = Counter[int](), Counter[int]()
    for label, number in times.items():
        verb, noun = divmod(label, num_nouns)
        verbs[verb] += number
        nouns[noun] += number
    chosen = [
        label
        for label in times
        if verbs[label // num_nouns] > _MANY and nouns[label % num_nouns] > _MANY
    ]
    return Subset(name="many_shot", classes=tuple(sorted(chosen)))


def tail(
    spec: Epic100Labels, folder: Path, *, num_verbs: int, num_nouns: int, labels: Iterable[int]
) -> Subset:
    """The tail classes of EPIC Kitchens 100, as its lists have them.

    They are "the set of smallest classes (i.e. those with fewest instances) that account for 20% of
    the total number of instances in the training set" (README of epic-kitchens-100-annotations,
    EPIC_100_tail_verbs.csv and EPIC_100_tail_nouns.csv). A tail action has a tail verb or a tail
    noun (`compute_metrics` of epic-kitchens/C1-Action-Recognition).

    Args:
        num_verbs: classes that the target needs; 0 for none.
        num_nouns: likewise.
        labels: those that occur, of which actions are chosen.

    Raises:
        ManifestError: if a list holds what is no class.
    """
    wanted = [("verb", spec.tail_verbs, num_verbs), ("noun", spec.tail_nouns, num_nouns)]
    numbers: dict[str, set[int]] = {}
    for column, name, end in wanted:
        if not end:
            continue
        path = folder / name
        if not_a_file(path):
            return Subset(name="tail", absent=path)
        numbers[column] = set()
        for row in read_rows(path, f"EPIC's tail {column}s", columns=(column,)):
            numbers[column].update(row.class_number(column, end))
    if spec.target != "action":
        return Subset(name="tail", classes=tuple(sorted(numbers[spec.target])))
    chosen = {
        label
        for label in labels
        if label // num_nouns in numbers["verb"] or label % num_nouns in numbers["noun"]
    }
    return Subset(name="tail", classes=tuple(sorted(chosen)))


def unseen(spec: Epic100Labels, folder: Path) -> Subset:
    """The unseen participants of EPIC Kitchens 100's validation: "participant IDs who are unseen
    during training" (README of epic-kitchens-100-annotations).

    Raises:
        ManifestError: if the list is no such table.
    """
    path = folder / spec.unseen
    if not_a_file(path):
        return Subset(name="unseen", absent=path)
    rows = read_rows(path, "EPIC's unseen participants", columns=("participant_id",))
    return Subset(name="unseen", participants=tuple(row["participant_id"] for row in rows))
