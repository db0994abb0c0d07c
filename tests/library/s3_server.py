"""A real server of the S3 protocol: moto, in a process of its own, with nothing but memory."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from urllib.error import URLError

from standalone.ports import free_port

START_SECONDS = 60.0
BUCKET = "library"


class S3Server:
    """Holds one bucket; `start` and `stop` may be called in turns, and each start begins empty."""

    def __init__(self) -> None:
        self.port = free_port(17500)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the AWS tools, and obstore, find it by."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def start(self) -> None:
        """Starts it, waits until it answers and makes the bucket."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                make = urllib.request.Request(f"http://127.0.0.1:{self.port}/{BUCKET}", method="PUT")
                urllib.request.urlopen(make, timeout=5).close()
                return
            except (URLError, OSError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError("moto's S3 server did not start.") from None
                time.sleep(0.1)

    def stop(self) -> None:
        """Stops it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
