"""The published tables of EPIC Kitchens 100 (Damen et al. 2022), one a split."""

from dataclasses import replace
from pathlib import Path

from shared.manifests.epic_rows import EpicTable, read_tables
from shared.manifests.epic_vocabulary import ClassTable, EpicVocabulary, read_vocabulary
from shared.manifests.label_schema import Epic100Labels
from shared.manifests.records import Listing, Task
from shared.manifests.split_files import split_files

__all__ = ["read"]


def read(
    spec: Epic100Labels, folder: Path, *, task: Task, labels: bool, partial: bool = False
) -> Listing:
    """What the action tables say; a segment's id is its `narration_id`.

    Args:
        labels: False leaves labels empty and does not need the tables of classes.
        partial: whether the table of one split is enough; the others are then named as absent.

    Raises:
        DataRootError: naming the table that is not there.
        ManifestError: naming the lines that cannot be used and why.
    """
    vocabulary = _read_vocabulary(spec, folder, task) if labels else None
    files = split_files(spec, folder, partial=partial)
    tables = [
        EpicTable(
            path=folder / name, id_column="narration_id", split=split, has_labels=split != "test"
        )
        for split, name in files.present.items()
    ]
    return replace(read_tables(tables, vocabulary), absent=files.absent)


def _read_vocabulary(spec: Epic100Labels, folder: Path, task: Task) -> EpicVocabulary:
    return read_vocabulary(
        spec.target,
        task,
        verbs=ClassTable(path=folder / spec.verbs, number="id", name="key"),
        nouns=ClassTable(path=folder / spec.nouns, number="id", name="key"),
    )
