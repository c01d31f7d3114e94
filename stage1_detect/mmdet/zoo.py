"""Find configs and weights in MMDetection's model zoo, without importing MMDetection."""

from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.fileio import load as load_yaml
from mmengine.fileio.handlers import yaml_handler

from orn.shared.download import fetch
from orn.shared.errors import DetectorError
from orn.shared.text import path_text

# Metafiles and the YAML bases of configs are data: tags that create Python objects are refused.
yaml_handler.Loader = yaml_handler.yaml.SafeLoader

_METAFILE = "metafile.yml"
_MOST_NAMED = 3
_SMALL_MODEL = "rtmdet-ins_tiny_8xb32-300e_coco"


def find_config(name_or_file: str | Path) -> Path:
    """Return the path of a config, given as a file or by its name in the zoo."""
    path = Path(name_or_file)
    if path.suffix == ".py":
        if not path.is_file():
            raise DetectorError(
                f"detector config {path_text(path)}: file not found; correct the path"
            )
        return path
    folder = _zoo_folder()
    known = {file.stem: file for file in folder.glob("*/*.py")}
    if str(name_or_file) not in known:
        typed = str(name_or_file)[:200].replace("_", "-")
        masked = sorted(_names_with_masks(folder) & known.keys())
        names = {name.replace("_", "-"): name for name in masked}
        near = [name for name in names if name.startswith(typed)] or get_close_matches(typed, names)
        meant = " or ".join(repr(names[close]) for close in near[:_MOST_NAMED])
        raise DetectorError(
            f"detector config {str(name_or_file)!r}: expected a .py file or the name of an "
            "instance segmentation model in the model zoo, got neither; pass the file, or a name "
            f"such as {meant or repr(_SMALL_MODEL)}"
        )
    return known[str(name_or_file)]


def weights_url(config: Path) -> str | None:
    """Return the URL of a config's weights from the `metafile.yml` next to it, or None."""
    for entry in _models(config.with_name(_METAFILE)):
        if Path(str(entry.get("Config"))).stem == config.stem:
            url = entry.get("Weights")
            return url if isinstance(url, str) else None
    return None


def _names_with_masks(folder: Path) -> set[str]:
    """Return the names of the published models for instance segmentation in the zoo."""
    return {
        Path(str(entry.get("Config"))).stem
        for metafile in folder.glob(f"*/{_METAFILE}")
        for entry in _models(metafile)
        if "Instance Segmentation" in str(entry.get("Results"))
    }


def fetch_weights(config: Path, *, remedy: str) -> Path:
    """Return the path of a config's published weights, downloaded if they are not in the cache.

    Args:
        config: path of the config.
        remedy: how to pass a file of weights, for messages.

    Raises:
        DetectorError: if the URL is unknown, or the download fails.
    """
    return fetch(
        published_url(config, remedy=remedy), what=_what(config), remedy=remedy, error=DetectorError
    )


def published_url(config: Path, *, remedy: str) -> str:
    """Return the URL of a config's published weights; for arguments, see `fetch_weights`.

    Raises:
        DetectorError: if it is unknown.
    """
    url = weights_url(config)
    if url is None:
        raise DetectorError(
            f"{_what(config)}: no URL for them in {config.with_name(_METAFILE)}; if you have the "
            f"file, {remedy}"
        )
    return url


def _what(config: Path) -> str:
    return f"weights of the detector {config.stem}"


def _models(metafile: Path) -> list[dict[str, Any]]:
    """Return the models that a metafile lists; empty if it does not exist."""
    if not metafile.is_file():
        return []
    try:
        content = load_yaml(str(metafile))
    except Exception as err:  # the YAML library does not document its exceptions
        reason = " ".join(str(err).split())
        raise DetectorError(f"{metafile}: invalid YAML: {reason}") from err
    models = content.get("Models") if isinstance(content, dict) else content
    return (
        [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []
    )


def _zoo_folder() -> Path:
    spec = find_spec("mmdet")
    folders = (spec and spec.submodule_search_locations) or [""]
    return Path(folders[0]) / ".mim" / "configs"
