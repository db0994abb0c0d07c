"""Child processes never outlive the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from standalone.process import ChildProcess

# Starts a child of its own, tells both process ids, and waits.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('1', flush=True); time.sleep(600)"
PARENT = """
import os, sys, time
from pathlib import Path
from standalone.process import ChildProcess
ChildProcess([sys.executable, "-c", sys.argv[2]], Path(sys.argv[1]), os.environ, Path.cwd(), grace_seconds=1)
time.sleep(600)
"""


def test_output_goes_to_the_log_and_the_exit_status_is_told(tmp_path: Path) -> None:
    child = _start([sys.executable, "-c", "print('hello'); raise SystemExit(3)"], tmp_path)
    _wait_for(lambda: child.exit_status is not None)
    assert child.exit_status == 3
    assert child.log_tail() == "hello"


def test_a_signal_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    child = _start([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], tmp_path)
    _wait_for(lambda: child.exit_status is not None)
    assert child.exit_status == 128 + signal.SIGKILL


def test_stopping_ends_the_children_of_the_child_too(tmp_path: Path) -> None:
    child = _start([sys.executable, "-c", FAMILY], tmp_path)
    family = _family(tmp_path / "log")
    child.stop()
    assert child.exit_status == 128 + signal.SIGTERM
    assert not any(psutil.pid_exists(pid) for pid in family)


def test_what_ignores_sigterm_is_killed_after_its_grace_time(tmp_path: Path) -> None:
    child = _start([sys.executable, "-c", STUBBORN], tmp_path)
    _wait_for(lambda: bool(child.log_tail()))
    child.stop()
    assert child.exit_status == 128 + signal.SIGKILL


def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", PARENT, str(log), FAMILY]) as parent:
        family = _family(log)
        parent.kill()
    _wait_for(lambda: not any(psutil.pid_exists(pid) for pid in family))


def test_nothing_outlives_a_killed_tether(tmp_path: Path) -> None:
    child = _start([sys.executable, "-c", "print(1, flush=True); import time; time.sleep(600)"], tmp_path)
    _wait_for(lambda: bool(child.log_tail()))
    command = child.command_pid
    os.kill(psutil.Process(command).ppid(), signal.SIGKILL)
    _wait_for(lambda: not _runs(command))
    assert child.exit_status == -signal.SIGKILL


def _start(command: list[str], folder: Path) -> ChildProcess:
    return ChildProcess(command, folder / "log", os.environ, folder, grace_seconds=1)


def _family(log: Path) -> list[int]:
    """Process ids of a started FAMILY: the command's and its child's."""
    _wait_for(lambda: log.is_file() and log.read_text().endswith("\n"))
    return [int(pid) for pid in log.read_text().split()]


def _runs(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_for(condition: Callable[[], bool]) -> None:
    # Generous: it ends at once when the condition holds, and the machine may be busy.
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
