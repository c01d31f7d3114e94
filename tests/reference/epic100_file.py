"""The rules of a file for EPIC Kitchens 100's recognition challenge, as a server would check them.

A zip with one member, test.json: an object of version "0.2", challenge "action_recognition",
sls_pt, sls_tl and sls_td, each a whole number from 0 to 5, and results: of every narration id of
the split, and of no other, the scores of verbs "0" to "96" and of nouns "0" to "299".
"""

import json
import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

CLASSES = {"verb": 97, "noun": 300}
LEVELS = ("sls_pt", "sls_tl", "sls_td")


def faults_of_file(path: Path, narration_ids: Collection[str]) -> list[str]:
    """What is wrong with a file, a line each."""
    with zipfile.ZipFile(path) as archive:
        if archive.namelist() != ["test.json"] or archive.testzip() is not None:
            return [f"members {archive.namelist()}"]
        document = json.loads(archive.read("test.json"), object_pairs_hook=_without_repeats)
    faults = []
    if set(document) != {"version", "challenge", *LEVELS, "results"}:
        faults.append(f"keys {sorted(document)}")
    if (document["version"], document["challenge"]) != ("0.2", "action_recognition"):
        faults.append(f"{document['version']} {document['challenge']}")
    for level in LEVELS:
        if type(document[level]) is not int or not 0 <= document[level] <= 5:
            faults.append(f"{level} {document[level]}")
    results = document["results"]
    faults += [f"{item} is missing" for item in set(narration_ids) - set(results)]
    faults += [f"{item} is unexpected" for item in set(results) - set(narration_ids)]
    for name, scores in results.items():
        if set(scores) != set(CLASSES):
            faults.append(f"{name}: {sorted(scores)}")
            continue
        for kind, number in CLASSES.items():
            if list(scores[kind]) != [str(item) for item in range(number)]:
                faults.append(f"{name}: {kind} {len(scores[kind])}")
            if not all(_is_number(item) for item in scores[kind].values()):
                faults.append(f"{name}: {kind} scores")
    return faults


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in pairs}) == len(pairs), "a key occurs twice"
    return dict(pairs)
