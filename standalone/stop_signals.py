"""Ctrl-C and SIGTERM as a question that waiting code asks."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from standalone.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, the stop signals end the next `pause` instead of the process: children can be stopped in order.

    Enter it in the main thread.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> StopSignals:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def pause(self, seconds: float) -> None:
        """Sleeps. Raises Interrupted as soon as one of the signals has arrived."""
        if self._asked.wait(seconds):
            raise Interrupted("Stopped before it was done, as asked.")

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked.set()
