"""How a command ends: its log on stderr, and errors as one line and an exit code: 0 success, 1
failure, 2 usage error, 3 success but some videos failed, 130 interrupted, 143 terminated."""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from orn.shared.errors import PipelineError
from orn.shared.escaped_text import line_handler
from orn.shared.jobs.workers import Terminated, terminated_as_interrupted
from orn.shared.text import escape, path_text

INTERRUPTED = 130
"""Exit code after Ctrl-C (128 + SIGINT)."""
TERMINATED = 143
"""Exit code after SIGTERM (128 + SIGTERM)."""


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Print an error or an interruption on stderr and exit with its exit code."""
    try:
        with terminated_as_interrupted():
            yield
    except PipelineError as err:
        _fail(f"orn: error: {err}", err.exit_code)
    except KeyboardInterrupt as err:
        if isinstance(err, Terminated):
            _fail("orn: terminated", TERMINATED)
        _fail("orn: interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader closed the pipe, as `orn inspect ... | head` does.
        _discard_output()
        sys.exit(1)
    except OSError as err:
        if err.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _discard_output()
        _fail(f"orn: error: {err.strerror}; free some disk space and run the command again", 1)


def _discard_output() -> None:
    """Redirect stdout to /dev/null, so that the flush at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, exit_code: int) -> None:
    print(escape(message), file=sys.stderr, flush=True)
    sys.exit(exit_code)


@contextmanager
def logging_to_stderr(verbosity: int) -> Iterator[None]:
    """Log to stderr: from INFO for `orn`, from WARNING for other packages; each -v adds a level.

    An `OSError` with a path, such as an overlong name, becomes a PipelineError.
    """
    handler = line_handler(sys.stderr)
    root, ours = logging.getLogger(), logging.getLogger("orn")
    levels = {root: root.level, ours: ours.level}
    root.addHandler(handler)
    root.setLevel((logging.WARNING, logging.WARNING, logging.INFO)[min(verbosity, 2)])
    ours.setLevel(logging.DEBUG if verbosity else logging.INFO)
    try:
        yield
    except PipelineError:
        logging.getLogger(__name__).debug("traceback of the error:", exc_info=True)
        raise
    except OSError as err:
        if err.filename is None:
            raise
        raise PipelineError(f"{path_text(err.filename)}: {err.strerror}") from err
    finally:
        root.removeHandler(handler)
        for logger, level in levels.items():
            logger.setLevel(level)
