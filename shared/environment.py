"""Provenance of results: versions, commit, machine, command line."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PROJECT = "object-relation-network"
"""Name of the installed distribution."""

_SOURCE_FOLDER = Path(__file__).resolve().parent.parent


def describe_environment() -> dict[str, Any]:
    """Return versions, commit, machine and command line as plain values for JSON."""
    return {
        "command": sys.argv,
        "folder": str(Path.cwd()),
        "commit": git_commit(),
        "versions": library_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpus": os.cpu_count(),
    }


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use, at least 1; the scheduler of a
    cluster may restrict them."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_memory() -> int:
    """Return the size of this machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def requirements() -> dict[str, str]:
    """Return the required packages with their version specifiers, without extras; empty if the
    project is not installed."""
    from packaging.requirements import Requirement

    try:
        texts = metadata.requires(PROJECT) or []
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return {}
    packages = map(Requirement, texts)
    return {one.name: str(one.specifier) for one in packages if "extra" not in str(one.marker)}


def library_versions() -> dict[str, str]:
    """Return the installed versions of this project and its requirements, by name."""
    return {name: installed_version(name) or "absent" for name in (PROJECT, *requirements())}


def installed_version(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def installed_versions(*names: str) -> dict[str, str]:
    """Return the installed versions of distributions by name, without those that are missing."""
    return {name: version for name in names if (version := installed_version(name))}


def git_commit(folder: Path = _SOURCE_FOLDER) -> str | None:
    """Return the commit of the checkout `folder`, with "-dirty" if tracked files are modified; None
    if `folder` is not the root of a checkout."""
    if not (folder / ".git").exists():
        return None
    words = ("describe", "--always", "--exclude=*", "--abbrev=40", "--dirty")
    try:
        process = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):  # no git, no commit, or a different owner
        return None
    return process.stdout.strip()


def wait_passively() -> None:
    """Make idle PyTorch threads sleep, which leaves the cores to loaders and other processes,
    unless the environment specifies otherwise. Call this before importing torch."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
