"""Runs one command, and ends it with everything it started when the process that asked for it is gone.

`python tether.py PARENT_PID GRACE_SECONDS COMMAND...`: the command gets a process group of its own. A SIGTERM or SIGINT
to the tether, or the end of the parent (by `kill -9` too), sends the command SIGTERM and, after the grace time, SIGKILL
to its whole group. Exits with the command's status as a shell does (128 + N for signal N).

Standard library only, to start in a few milliseconds. One thread only: that makes the code between fork and exec safe.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
PARENT_CHECK_SECONDS = 0.5
# Options of prctl(2).
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> int:
    """Runs the command of `arguments` to its end and returns its exit status."""
    parent, grace_seconds, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    # Processes whose parent dies first (Triton's model processes) become ours to reap: a container's PID 1 may never.
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)

    def before_exec() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    child = subprocess.Popen(command, process_group=0, preexec_fn=before_exec)
    deadline: float | None = None
    # WNOWAIT leaves the ended child's id, and so its group's, reserved until the group has been killed.
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        received = signal.sigtimedwait(WATCHED, PARENT_CHECK_SECONDS)
        asked = received is not None and received.si_signo != signal.SIGCHLD
        if deadline is None and (asked or os.getppid() != parent):
            os.kill(child.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace_seconds
        elif deadline is not None and time.monotonic() > deadline:
            os.killpg(child.pid, signal.SIGKILL)
    os.killpg(child.pid, signal.SIGKILL)
    status = child.wait()
    _reap_the_rest()
    return status if status >= 0 else 128 - status


def _reap_the_rest() -> None:
    """Waits for the killed members of the group, a few seconds at most."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
