"""Joining a Ray cluster, or starting one on this machine for one job."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.errors import ConfigError, DetectorError

__all__ = ["count_actors", "import_ray", "joined"]

_STORE_BYTES = 128 * 2**20
"""Ray's shared memory; nothing but units and counts goes through it."""

_REACHED_SECONDS = 5.0


def import_ray() -> Any:
    """The package ray, told not to report its use.

    Raises:
        DetectorError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as err:
        raise DetectorError(
            "--engine ray needs the package ray, found none in this environment; "
            "install it with: pip install 'object-relation-network[ray]'"
        ) from err
    return ray


@contextmanager
def joined(ray: Any, address: str | None) -> Iterator[None]:
    """This process is a driver of the cluster while the block runs.

    Args:
        ray: the package.
        address: `HOST:PORT`, or `auto` for the cluster that this machine belongs to; None starts
            one that ends with the block. Where this process has joined one already, it stays.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    if ray.is_initialized():
        yield
        return
    _check_reachable(address)
    own = {"include_dashboard": False, "object_store_memory": _STORE_BYTES} if not address else {}
    try:
        ray.init(address=address or "local", logging_level=logging.WARNING, **own)
    except (ConnectionError, ValueError, RuntimeError) as err:
        raise ConfigError(_no_cluster(address, err)) from err
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Tells at once of an address where nothing listens; Ray itself tries for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_REACHED_SECONDS).close()
    except (OSError, OverflowError) as err:
        raise ConfigError(_no_cluster(address, err)) from err


def _no_cluster(address: str | None, err: Exception) -> str:
    return (
        f"no Ray cluster at {address or 'this machine'} ({err}); start one with: "
        "ray start --head --port 6379, and on every other machine: ray start --address HOST:6379"
    )


def count_actors(
    resources: dict[str, float], *, device: str, workers: int | None
) -> tuple[int, str]:
    """How many actors suit a cluster, and the device of each as it sees it: one a GPU, or one a
    core.

    Args:
        resources: what the cluster has, as Ray counts it.
        device: `cpu`, `cuda`, or `auto`: GPUs where the cluster has any.
        workers: number of actors asked for; None: as many as suit.

    Raises:
        ConfigError: GPUs are asked for and the cluster has none.
    """
    gpus = int(resources.get("GPU", 0))
    if device == "cuda" and not gpus and workers is None:
        raise ConfigError(
            "--device cuda: the Ray cluster has no GPU; leave --device out, or say with --workers "
            "how many GPUs to wait for"
        )
    if device == "cuda" or (device == "auto" and gpus):
        return workers or gpus, "cuda"
    return workers or max(1, int(resources.get("CPU", 0))), "cpu"
