"""Steps run in processes of their own, forked from a server that imported what they need; they end
with us, say why they fail, and are not run again while their outputs are current."""

import os
import select
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.progress import Reporter
from orn.shared.jobs.run_steps import Step, run_steps
from tests.running import SECONDS


@dataclass(frozen=True)
class Done:
    exit_code: int

    def summary(self) -> str:
        return "on stderr"


@dataclass(frozen=True)
class Behavior:
    way: Literal["well", "some", "badly", "dead", "look", "stop", "wait", "linger"]
    output: Path


def behave(config: Behavior, reporter: Reporter) -> Done:
    """End in one of several ways, and write what is seen."""
    import torch

    print("on stdout")
    output = config.output
    match config.way:
        case "badly":
            raise ConfigError("FILE: expected another WAY")
        case "dead":
            os.kill(os.getpid(), signal.SIGKILL)
        case "wait":  # until it is ended
            with output.open("w", buffering=1) as file:
                print("ready", file=file)
                signal.pause()
        case "linger":  # until it is interrupted twice
            with output.open("w", buffering=1) as file:
                for words in ("ready", "lingering"):
                    try:
                        print(words, file=file)
                        signal.pause()
                    except KeyboardInterrupt as err:
                        interrupt = err
                raise interrupt
        case "stop":
            signal.raise_signal(signal.SIGINT)
    status = Path(f"/proc/{os.getppid()}/status").read_text()
    threads = status.partition("Threads:")[2].split()[0]
    seen = (threads, torch.cuda.is_initialized(), threading.active_count(), Path.cwd())
    output.write_text("\n".join(map(str, seen)))
    return Done(3 if config.way == "some" else 0)


def step(way: Any, output: Path) -> Step:
    def why() -> str | None:
        return None if output.exists() else "a file is missing"

    return Step(
        name=way,
        function=behave,
        config=Behavior(way, output),
        stale=why,
    )


def alone(way: str) -> tuple[str, str, str]:
    """What follows `python` to run a step in a process of its own, in the current folder."""
    root = str(Path(__file__).parents[3])
    code = f"import sys; sys.path.append({root!r}); from pathlib import Path; "
    code += (
        f"from tests.shared.jobs.test_run_steps import step; step({way!r}, Path('output')).run()"
    )
    return "-P", "-c", code


hears_ctrl_c = pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    reason="Ctrl-C is ignored where the tests were started, as behind & in a script",
)


def test_a_step_is_run_until_its_output_is_current(tmp_path: Path, capfd) -> None:
    well = step("well", tmp_path / "output")
    assert list(run_steps([well])) == ["well"]
    captured = capfd.readouterr()
    assert "[1/1] well: a file is missing" in captured.err
    assert "on stdout" in captured.err and "on stderr" in captured.err and not captured.out
    assert run_steps([well]) == {}
    assert "[1/1] well: already done" in capfd.readouterr().err


def test_the_server_has_one_thread_and_no_device(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_steps([step("look", tmp_path / "output")], imports=["torch"])
    assert (tmp_path / "output").read_text().splitlines() == ["1", "False", "2", str(tmp_path)]


@pytest.mark.parametrize(("way", "code"), [("some", 3), ("badly", 2), ("dead", -9)])
def test_a_step_that_fails_ends_the_list_and_nothing_else(tmp_path, capfd, way, code) -> None:
    failing, after = step(way, tmp_path / "output"), step("well", tmp_path / "after")
    with pytest.raises(PipelineError, match=f"step {way} failed with exit code {code}") as raised:
        run_steps([failing, after])
    assert raised.value.exit_code == (137 if way == "dead" else code)
    assert "well" not in capfd.readouterr().err
    (tmp_path / "output").unlink(missing_ok=True)
    if way == "some":
        run_steps([failing, after], done=(0, 3))
        assert (tmp_path / "after").exists()


@hears_ctrl_c
def test_an_interrupted_step_ends_us_with_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="exit code 130") as raised:
        run_steps([step("stop", tmp_path / "output")])
    assert raised.value.exit_code == 130


@hears_ctrl_c
def test_an_interruption_is_printed_once(tmp_path: Path) -> None:
    """The terminal sends each Ctrl-C to us and to the step."""
    os.mkfifo(tmp_path / "output")
    *words, code = alone("linger")
    code = "from orn.shared.jobs.exit_codes import errors_as_exit_codes\n" + code.replace(
        "step('linger'", "\nwith errors_as_exit_codes(): step('linger'"
    )
    stopped = subprocess.Popen(
        [sys.executable, *words, code],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with (tmp_path / "output").open() as file:
        for line in ("ready\n", "lingering\n"):
            assert file.readline() == line
            os.killpg(stopped.pid, signal.SIGINT)
    _, printed = stopped.communicate(timeout=SECONDS)
    assert printed.count("orn: interrupted") == 1 and "Traceback" not in printed


def test_a_step_ends_with_the_process_that_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "output")
    killed = subprocess.Popen([sys.executable, *alone("wait")], cwd=tmp_path)
    with (tmp_path / "output").open() as file:
        assert file.readline() == "ready\n"
        killed.kill()
        killed.wait()
        ended, _, _ = select.select([file], [], [], SECONDS)
        assert ended and file.read() == ""


@hears_ctrl_c
def test_ctrl_c_says_at_once_what_is_kept(tmp_path: Path) -> None:
    """Before the step has ended, which gets it from the terminal as well."""
    os.mkfifo(tmp_path / "output")
    words = (sys.executable, *alone("wait"))
    stopped = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert stopped.stderr is not None
    with (tmp_path / "output").open() as file:
        assert file.readline() == "ready\n"
        stopped.send_signal(signal.SIGINT)  # to us alone: the step goes on
        while "all that is done is kept; run the same command again" not in (
            line := stopped.stderr.readline()
        ):
            assert line
        stopped.kill()
        stopped.wait()


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    """A module with the name of an installed one."""
    from tests.running import run_python

    (tmp_path / "torch.py").write_text("raise SystemExit('imported from the current folder')")
    run_python(*alone("well"), folder=tmp_path)
    assert (tmp_path / "output").exists()
    assert "torch" not in sys.modules or Path(str(sys.modules["torch"].__file__)).parent != tmp_path
