"""`python -m bridge`: runs the bridge until SIGTERM or SIGINT."""

import asyncio
import sys

from bridge.request_log import set_up_logging
from bridge.server import BridgeServer
from bridge.settings import Settings, read_settings


async def _serve(settings: Settings) -> None:
    await BridgeServer(settings).serve()


def main() -> None:
    """Reads the settings and serves."""
    settings = read_settings(sys.argv[1:])
    set_up_logging(settings.log_level)
    asyncio.run(_serve(settings))


if __name__ == "__main__":
    main()
