"""Ctrl-C and SIGTERM end a pause instead of the process."""

from __future__ import annotations

import os
import signal

import pytest

from standalone.errors import Interrupted
from standalone.stop_signals import SIGNALS, StopSignals


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_signal_ends_every_further_pause(number: signal.Signals) -> None:
    with StopSignals() as signals:
        signals.pause(0)
        os.kill(os.getpid(), number)
        for _ in range(2):
            with pytest.raises(Interrupted):
                signals.pause(600)


def test_what_the_signals_did_before_is_restored() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with StopSignals():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
