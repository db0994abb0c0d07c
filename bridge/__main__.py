"""`python -m bridge`: runs the bridge until SIGTERM or SIGINT."""

import asyncio
import sys

from pydantic import ValidationError

from bridge.observability.logs import set_up_logging
from bridge.observability.tracing import set_up_tracing
from bridge.prompts.errors import InvalidPresets
from bridge.server import BridgeServer
from bridge.settings import Settings, read_settings


async def _serve(settings: Settings) -> None:
    try:
        server = BridgeServer(settings)
    except (OSError, ValueError, InvalidPresets) as error:
        sys.exit(f"The bridge cannot start: {error}")
    try:
        await server.start()
    except (OSError, RuntimeError) as error:
        sys.exit(f"The bridge cannot listen on {settings.host}:{settings.port}: {error}")
    await server.serve()


def main() -> None:
    """Reads the settings and serves."""
    try:
        settings = read_settings(sys.argv[1:])
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}." for detail in error.errors()]
        sys.exit("The settings cannot be used. " + " ".join(problems))
    set_up_logging(settings.log_level, settings.log_format)
    set_up_tracing()
    asyncio.run(_serve(settings))


if __name__ == "__main__":
    main()
