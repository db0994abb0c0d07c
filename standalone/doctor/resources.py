"""Whether the machine has the memory, disk, files and ports that a stack takes."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from standalone.doctor.finding import Finding
from standalone.ports import is_free
from standalone.triton import SHARED_MEMORY

_MIB = 2**20
# Triton's model processes take 1 MiB each and grow with the pictures under way; a picture of 1024x1024 pixels is 3 MiB.
_LEAST_SHARED_MEMORY = 256 * _MIB
_LEAST_DISK = 1024 * _MIB
# Each connection to the bridge takes one, and a thousand of them are nothing unusual.
_LEAST_FILES = 4096
# Weights are held once by ONNX Runtime and once more, for a moment, while they are read.
_WEIGHTS_TO_MEMORY = 2.0
_PORTS = {8000: "Triton's HTTP", 8001: "Triton's gRPC", 8002: "Triton's metrics", 50051: "the bridge"}


def examine(repository: Path, folder: Path) -> Iterator[Finding]:
    """Looks at shared memory, disk, memory, open files and ports, for a stack that works in `folder`."""
    yield _shared_memory()
    yield _disk(folder)
    yield _memory(repository)
    yield _files()
    for port, owner in _PORTS.items():
        yield _port(port, owner)


def _shared_memory() -> Finding:
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < _LEAST_SHARED_MEMORY:
        return Finding.wrong(
            "Shared memory",
            f"{SHARED_MEMORY} has {free // _MIB} MiB free, and tensors pass between Triton and its model processes "
            f"through it: give it {_LEAST_SHARED_MEMORY // _MIB} MiB or more (Docker: `--shm-size=1g`, or `shm_size` "
            f"in Compose), or remove what a killed program has left in it.",
        )
    return Finding.well("Shared memory", f"{SHARED_MEMORY} has {free // _MIB} MiB free.")


def _disk(folder: Path) -> Finding:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        return Finding.wrong("Disk", f"{there} cannot be written to: name another folder with --folder.")
    free = shutil.disk_usage(there).free
    if free < _LEAST_DISK:
        return Finding.wrong(
            "Disk", f"{there} has {free // _MIB} MiB free; logs need room: free some, or name another with --folder."
        )
    return Finding.well("Disk", f"{there} has {free // _MIB} MiB free.")


def _memory(repository: Path) -> Finding:
    weights = sum(file.stat().st_size for file in repository.rglob("*") if file.is_file())
    wanted, available = int(weights * _WEIGHTS_TO_MEMORY), psutil.virtual_memory().available
    if wanted > available:
        return Finding.wrong(
            "Memory",
            f"The models in {repository} take about {wanted // _MIB} MiB while they are loaded, and "
            f"{available // _MIB} MiB are available: stop other programs, or serve fewer families.",
        )
    return Finding.well("Memory", f"{available // _MIB} MiB are available; the models take about {wanted // _MIB}.")


def _files() -> Finding:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= most < _LEAST_FILES:
        return Finding.wrong(
            "Open files",
            f"A process may open {most} files, and each connection takes one: raise it to {_LEAST_FILES} or more "
            "(`ulimit -Hn`, or `LimitNOFILE=` in a systemd unit).",
        )
    return Finding.well("Open files", f"A process may open {'any number of' if most < 0 else most} files.")


def _port(port: int, owner: str) -> Finding:
    subject = f"Port {port}"
    if is_free(port):
        return Finding.well(subject, f"It is free for {owner}.")
    holder = _holder(port)
    return Finding.note(
        subject, f"It is taken{f' by {holder}' if holder else ''}: `starweave serve` gives {owner} another one."
    )


def _holder(port: int) -> str | None:
    """The program that listens on a port; None where that is not to be known."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EACCES, errno.EPERM, errno.ENOENT):
            raise
    return None
