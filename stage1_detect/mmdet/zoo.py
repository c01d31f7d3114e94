"""What MMDetection's model zoo has for a name: a configuration, and the address of its weights.

Found without importing mmdet, which takes seconds.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.fileio import load as load_yaml

from orn.shared.download import cached_path, fetch
from orn.shared.errors import DetectorError
from orn.shared.nearest import nearest_first
from orn.shared.text import path_text

_METAFILE = "metafile.yml"


def find_config(name_or_file: str | Path) -> Path:
    """Return the file of a configuration: a file of the user, or one of the zoo by its name.

    Raises:
        DetectorError: there is no such file or name.
    """
    path = Path(name_or_file)
    if path.suffix == ".py":
        if not path.is_file():
            raise DetectorError(f"detector config {path_text(path)}: there is no such file")
        return path
    known = {file.stem: file for file in _zoo_folder().glob("*/*.py")}
    if str(name_or_file) not in known:
        meant = " or ".join(map(repr, nearest_first(str(name_or_file), known)[:3]))
        hint = f"did you mean {meant}?" if meant else "this mmdet was installed without its zoo"
        raise DetectorError(
            f"detector config {str(name_or_file)!r} is neither a .py file nor a name of the "
            f"model zoo; {hint}"
        )
    return known[str(name_or_file)]


def weights_url(config: Path) -> str | None:
    """Return the address of a configuration's weights, by the `metafile.yml` beside it, which every
    folder of the zoo has; None if there is none, or it does not say.

    Raises:
        DetectorError: the metafile cannot be read.
    """
    metafile = config.with_name(_METAFILE)
    if not metafile.is_file():
        return None
    try:
        content = load_yaml(str(metafile))
    except Exception as err:  # of the YAML library, whatever is in the file
        reason = " ".join(str(err).split())
        raise DetectorError(f"{metafile}: expected YAML, got an error: {reason}") from err
    for entry in _models(content):
        if Path(str(entry.get("Config"))).stem == config.stem:
            url = entry.get("Weights")
            return url if isinstance(url, str) else None
    return None


def fetch_weights(config: Path, *, remedy: str) -> Path:
    """Return the file of a configuration's published weights, fetched if it is not in the cache.

    Args:
        config: as `find_config` gives it.
        remedy: what else the user can do with a file of weights, as a clause.

    Raises:
        DetectorError: nobody says where they are published, or they cannot be fetched.
    """
    return fetch(
        _published(config, remedy=remedy), what=_what(config), remedy=remedy, error=DetectorError
    )


def weights_to_fetch(config: Path, *, remedy: str) -> tuple[Path | None, str | None]:
    """Return what `fetch_weights` would take from the cache, or else the address that it would
    fetch; raises as it does if there is no address."""
    url = _published(config, remedy=remedy)
    path = cached_path(url)
    return (path, None) if path.exists() else (None, url)


def _published(config: Path, *, remedy: str) -> str:
    url = weights_url(config)
    if url is None:
        raise DetectorError(
            f"{_what(config)}: expected their address in {config.with_name(_METAFILE)}, got none; "
            f"if you have the file, {remedy}"
        )
    return url


def _what(config: Path) -> str:
    return f"weights of the detector {config.stem}"


def _models(content: Any) -> list[dict[str, Any]]:
    models = content.get("Models") if isinstance(content, dict) else content
    return [each for each in models if isinstance(each, dict)] if isinstance(models, list) else []


def _zoo_folder() -> Path:
    spec = find_spec("mmdet")
    folders = (spec and spec.submodule_search_locations) or [""]
    return Path(folders[0]) / ".mim" / "configs"
