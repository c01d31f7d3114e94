"""The published tables of EPIC Kitchens 55 (Damen et al. 2018)."""

from dataclasses import replace
from pathlib import Path

from shared.manifests.epic_rows import EpicTable, read_tables
from shared.manifests.epic_vocabulary import ClassTable, EpicVocabulary, read_vocabulary
from shared.manifests.label_schema import EpicLabels
from shared.manifests.records import LeftOut, Listing, Task
from shared.manifests.schema import PersonSplit
from shared.manifests.tables import read_rows

__all__ = ["read"]


def read(
    spec: EpicLabels, split: PersonSplit, folder: Path, *, task: Task, labels: bool
) -> Listing:
    """What the action table says; a segment's id is its `uid`.

    Rows of the table of invalid labels are left out, and counted if that table is there.

    Args:
        labels: False leaves labels empty and does not need the tables of classes.

    Raises:
        DataRootError: naming the table that is not there.
        ManifestError: naming the lines that cannot be used and why.
    """
    vocabulary = _read_vocabulary(spec, folder, task) if labels else None
    table = EpicTable(path=folder / spec.table, id_column="uid", split=split)
    listing = read_tables([table], vocabulary)
    return replace(listing, left_out=_invalid(folder / spec.invalid))


def _read_vocabulary(spec: EpicLabels, folder: Path, task: Task) -> EpicVocabulary:
    return read_vocabulary(
        spec.target,
        task,
        verbs=ClassTable(path=folder / spec.verbs, number="verb_id", name="class_key"),
        nouns=ClassTable(path=folder / spec.nouns, number="noun_id", name="class_key"),
    )


def _invalid(path: Path) -> tuple[LeftOut, ...]:
    """The rows that the publishers set aside since their verb belongs to no class."""
    if not path.is_file():
        return ()
    count = sum(1 for _ in read_rows(path, "EPIC's invalid labels", columns=("uid",)))
    return (LeftOut(reason=f"without a verb class, in {path.name}", count=count),)
