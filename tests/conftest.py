"""What all tests share: one thread each, signal handlers put back, where they write and where real
files lie."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

if TYPE_CHECKING:
    from orn.stage2_train.model.network import ObjectVideoNetwork
    from orn.stage2_train.settings.recipe import Recipe
    from tests.weights_server import WeightsServer
    from tests.worlds.films import TinyWorld

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
PACKAGES.remove("tests")
"""Folders of the top level that are installed as parts of `orn`, and `orn` itself."""

SLOW_SECONDS = 800
"""Longest time of a slow test; that of the others is in setup.cfg."""

if str(ROOT) not in sys.path:  # so that tests find `tests.reference`
    sys.path.insert(0, str(ROOT))

# Before torch is imported, here and in every process that a test starts: tests run beside each
# other, their tensors are small, and in one thread they compute the same on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test takes weights from the user's cache, or fetches any into it.
os.environ["TORCH_HOME"] = os.devnull

IN_MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 << 30
"""Room there for what tests write; they leave a few hundred megabytes at a time."""

if IN_MEMORY.is_dir():
    _there = os.statvfs(IN_MEMORY)
    # So that nobody waits for a disk, which is asked to keep each file that appears whole.
    if _there.f_bavail * _there.f_frsize > MEMORY_BYTES and not _there.f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

# The same examples in every run, whatever else was imported (hypothesis reads the source of all of
# our modules for numbers to try, which takes seconds, too), and no limit on the time of one: the
# machine may be busy.
if hasattr(providers, "_get_local_constants"):
    providers._get_local_constants = lambda: providers._local_constants
for _name, _number in (("quick", 24), ("all", 60)):
    settings.register_profile(_name, deadline=None, derandomize=True, max_examples=_number)


def pytest_configure(config: pytest.Config) -> None:
    """Where slow tests are left out, examples that hypothesis draws are fewer, too."""
    settings.load_profile("quick" if "not slow" in config.option.markexpr else "all")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Processes that `-n auto` starts: one a core that we may use, and at most four."""
    from orn.shared.environment import usable_cores

    return min(usable_cores(), 4)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Modules and tests stay to the end: the garbage collector never looks through them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests may take longer, such as those that train many networks."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Puts back the signal handlers and torch's number of threads, also after a test that fails."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    torch = sys.modules.get("torch")
    threads = torch and torch.get_num_threads()
    yield
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)
    if torch and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder with real sample files; the test is skipped where there is none."""
    folder = Path(os.environ.get("ORN_SAMPLE_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "clips").is_dir():
        pytest.skip(f"no sample files under {folder}; set ORN_SAMPLE_DATA to the folder with them")
    return folder


@pytest.fixture(scope="session")
def orn() -> Any:
    """`run_orn`: `orn("inspect", path, exit_code=1).stderr`."""
    from tests.running import run_orn

    return run_orn


@pytest.fixture(scope="session")
def small_demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make_small_demo` makes; read-only."""
    from tests.worlds.demo import make_small_demo

    folder = tmp_path_factory.mktemp("small")
    make_small_demo(folder)
    return folder


@pytest.fixture
def small_demo(small_demo_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the current folder."""
    folder = Path(shutil.copytree(small_demo_run, tmp_path / "demo"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser; the test is skipped where there is none."""
    from tests.browser import headless_chromium

    with headless_chromium() as browser:
        yield browser


@pytest.fixture
def weights_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["WeightsServer"]:
    """A server of weights on this machine, with no proxy before it, and an empty cache
    for what it has."""
    from tests.weights_server import weights_server

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with weights_server() as server:
        yield server


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> "TinyWorld":
    """Twelve films of eight frames; read-only."""
    from tests.worlds.films import build_world

    return build_world(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_recipe() -> "Recipe":
    """One epoch of the object head, two of everything; four steps an epoch."""
    from tests.worlds.films import TINY_RECIPE

    return TINY_RECIPE


@pytest.fixture(scope="session")
def run_tiny(tiny_world: "TinyWorld") -> "Callable[..., ObjectVideoNetwork]":
    """`train_tiny_network` in the tiny world."""
    from tests.worlds.films import train_tiny_network

    return partial(train_tiny_network, tiny_world)


@pytest.fixture
def workspace(tiny_world: "TinyWorld", tmp_path: Path) -> dict[str, str]:
    """Options of `orn train` in a folder of the test."""
    from tests.worlds.films import make_workspace

    return make_workspace(tiny_world, tmp_path)


@pytest.fixture(scope="session")
def trained_once(
    tiny_world: "TinyWorld", tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Options of a training of an epoch, which is done; read-only."""
    from tests.running import run_orn
    from tests.worlds.films import make_workspace, words_of

    options = make_workspace(tiny_world, tmp_path_factory.mktemp("trained-once"))
    run_orn("train", *words_of(options), "--max-steps", "2")
    return options


@pytest.fixture
def one_step(trained_once: dict[str, str], tmp_path: Path) -> Path:
    """A copy of its run; manifest and data are those of everybody."""
    return Path(shutil.copytree(trained_once["--run"], tmp_path / "one-step"))
