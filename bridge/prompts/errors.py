"""What can be wrong with the files of presets."""

from bridge.errors import BridgeError


class InvalidPresets(BridgeError):
    """A file of presets cannot be used; the text names the file and the place."""
