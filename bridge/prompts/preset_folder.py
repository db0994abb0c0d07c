"""The folder that presets are read from, and read again from when it changes."""

import asyncio
import logging
from pathlib import Path

from bridge.prompts.errors import InvalidPresets
from bridge.prompts.preset_file import read_preset_file
from bridge.prompts.presets import Presets

logger = logging.getLogger(__name__)

BUILT_IN = Path(__file__).resolve().parent / "presets"
# Between two looks for changes.
_INTERVAL = 1.0

_Signature = dict[Path, tuple[int, int]]


class PresetFolder:
    """Every `*.yaml` of one folder.

    Raises InvalidPresets where a file cannot be used at the start; later, the presets stay as they were until the
    files are in order again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._signature()
        self._presets = _read(folder, self._seen)

    @property
    def presets(self) -> Presets:
        """The presets as last read; what is taken from here stays as it is."""
        return self._presets

    async def run(self) -> None:
        """Follows the folder until it is cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            await asyncio.to_thread(self._refresh)

    def _refresh(self) -> None:
        try:
            signature = self._signature()
            if signature == self._seen:
                return
            # Remembered before it is read: files that are broken are complained of once, not every second.
            self._seen = signature
            self._presets = _read(self._folder, signature)
            logger.info("The presets in %s have changed and are read again.", self._folder)
        except InvalidPresets as error:
            logger.error("The presets stay as they were: %s", error)

    def _signature(self) -> _Signature:
        """Size and time of change of every file."""
        try:
            if not self._folder.is_dir():
                raise InvalidPresets(f"There is no folder of presets {self._folder}.")
            files = {path: path.stat() for path in sorted(self._folder.glob("*.yaml"))}
        except OSError as error:
            raise InvalidPresets(f"The presets in {self._folder} cannot be read: {error.strerror}.") from error
        return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in files.items()}


def _read(folder: Path, signature: _Signature) -> Presets:
    if not signature:
        raise InvalidPresets(f"The folder of presets {folder} holds no file *.yaml.")
    return Presets([read_preset_file(path) for path in signature])
