"""What the terminal shows during an export: a bar for the stage that is running, a line for each that is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Advance = Callable[[], None]
Report = Callable[[str], None]


class Bar(Protocol):
    """Around a stage of `total` parts, or of a length that nobody knows; yields what to call after each part."""

    def __call__(self, stage: str, total: int | None = None) -> AbstractContextManager[Advance]: ...


@contextmanager
def no_bar(stage: str, total: int | None = None) -> Iterator[Advance]:
    """For callers that show nothing."""
    yield lambda: None


class TerminalProgress:
    """Writes to standard error: sentences always, bars where that is a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, soft_wrap=True)

    def say(self, sentence: str) -> None:
        """One line."""
        self._console.print(sentence, highlight=False, markup=False)

    @contextmanager
    def bar(self, stage: str, total: int | None = None) -> Iterator[Advance]:
        """A bar that is gone when the stage has ended; one without a total only moves and counts the time."""
        columns = [TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()]
        if total is not None:
            columns.insert(2, MofNCompleteColumn())
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as progress:
            task = progress.add_task(stage, total=total)
            yield lambda: progress.advance(task)
