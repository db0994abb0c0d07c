"""CPU time and memory of the server's processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since its start, resident memory now and at its highest, in bytes."""

    cpu_seconds: float
    resident: int
    peak_resident: int


def server_usage() -> dict[str, Usage]:
    """The usage of Triton, of each of its model processes and of the bridge, among the processes started from here."""
    found: dict[str, Usage] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            name = process_name(process.cmdline())
            if name is None:
                continue
            times, memory = process.cpu_times(), process.memory_info()
            peak = _peak_resident(process.pid) or memory.rss
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
        while name in found:
            name += "'"
        found[name] = Usage(times.user + times.system, memory.rss, peak)
    return found


def cpu_seconds_between(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """CPU seconds of each process that was there both times."""
    return {name: after[name].cpu_seconds - before[name].cpu_seconds for name in after if name in before}


def process_name(command: list[str]) -> str | None:
    """What a command line of Triton, a model process or the bridge is called in reports; None for any other."""
    program = Path(command[0]).name if command else ""
    if program == "tritonserver":
        return "triton"
    if program == "triton_python_backend_stub":
        return " ".join(["model process", *_model_of(command)])
    if command[1:3] == ["-m", "bridge"]:
        return "bridge"
    return None


def _model_of(command: list[str]) -> list[str]:
    """The stub's last arguments hold the name of the model's instance, such as `demo_unet_0_0`."""
    return [argument for argument in command[1:] if argument.endswith("_0")][-1:]


def _peak_resident(pid: int) -> int | None:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
