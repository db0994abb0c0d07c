"""What the terminal shows: one line for each stage."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape


class Status:
    """Writes lines such as `[ 2.1 s] Triton is ready.`, timed from the first one."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._started = time.monotonic()

    def say(self, sentence: str) -> None:
        """One line about the stage that begins or ends here."""
        seconds = time.monotonic() - self._started
        self._console.print(f"[dim]{escape(f'[{seconds:6.1f} s]')}[/dim] {escape(sentence)}")

    def warn(self, sentence: str) -> None:
        """One line about something that went wrong and is being mended."""
        seconds = time.monotonic() - self._started
        self._console.print(f"[dim]{escape(f'[{seconds:6.1f} s]')}[/dim] [yellow]{escape(sentence)}[/yellow]")
