"""A clock that a test sets."""


class Clock:
    """Tells `now`, in seconds, wherever a function like `time.monotonic` is taken."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
