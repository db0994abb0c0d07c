"""Runs Triton as the main process of a container: `python3 serve.py tritonserver [OPTIONS]...`.

A signal to stop is passed on. Where a model process has died, or Triton hangs, everything is killed and the container
ends with status 1: requests in a dead process never end, and only a start of Triton brings it back. Whoever runs the
container (`restart:` in Compose, the kubelet) starts it again.

Standard library only: it runs in NVIDIA's image.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

import probe

WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
INTERVAL_SECONDS = 5.0
# A busy machine may answer one probe late; twice in a row is no accident.
SILENCES_IN_A_ROW = 2
# An option of prctl(2): Triton does not outlive this process, in a container or not.
PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> int:
    """Runs `command` to its end and returns its exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    url = _url(command)
    libc = ctypes.CDLL(None)

    def before_exec() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    triton = subprocess.Popen(command, process_group=0, preexec_fn=before_exec)
    was_ready, silences = False, 0
    while triton.poll() is None:
        received = signal.sigtimedwait(WATCHED, INTERVAL_SECONDS)
        if received is not None:
            if received.si_signo != signal.SIGCHLD:
                triton.send_signal(received.si_signo)
                triton.wait()
            continue
        silence = probe.silence(url)
        was_ready = was_ready or silence is None
        # Until it has been ready once it is loading.
        silences = silences + 1 if silence and was_ready else 0
        if silences >= SILENCES_IN_A_ROW:
            sys.stderr.write(f"{silence} Triton is ended, to be started again.\n")
            os.killpg(triton.pid, signal.SIGKILL)
            triton.wait()
            return 1
    status = triton.returncode
    return status if status >= 0 else 128 - status


def _url(command: list[str]) -> str:
    """Where Triton's HTTP will be found from inside the container."""
    ports = [option.partition("=")[2] for option in command if option.startswith("--http-port=")]
    return f"http://127.0.0.1:{ports[-1]}" if ports else probe.URL


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
