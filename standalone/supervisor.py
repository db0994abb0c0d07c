"""Keeps a stack up: what dies is started again."""

from __future__ import annotations

from collections.abc import Callable

from standalone.back_off import BackOff
from standalone.client import connect
from standalone.errors import StartFailed
from standalone.stack import Stack
from standalone.status import Status

WATCH_SECONDS = 1.0


def supervise(stack: Stack, status: Status, pause: Callable[[float], None]) -> None:
    """Starts the stack and keeps it up until `pause` raises.

    Raises:
        StartFailed: the very first start failed. Later failures are told and mended, however often they come.
    """
    back_off = BackOff()
    was_ready = False
    while True:
        try:
            stack.start_missing(pause)
            was_ready = True
            back_off.healthy()
            failure = _watch(stack, pause)
        except StartFailed as error:
            if not was_ready:
                raise
            failure = error.message
            # It is not known which of the two is to blame.
            stack.stop()
        wait = back_off.failed()
        status.warn(f"{failure} Starting again in {wait:.0f} s.")
        pause(wait)


def _watch(stack: Stack, pause: Callable[[float], None]) -> str:
    """Returns the first failure of a running stack, as a sentence."""
    with connect(stack.bridge.address) as channel:
        while (failure := stack.failure(channel)) is None:
            pause(WATCH_SECONDS)
    return failure
