"""Which of a user's preferences a request takes."""

from bridge.families import Family
from bridge.insight.preference_reader import PreferenceReader
from bridge.insight.preferences import Preferences
from bridge.prompts.preset import Preset
from bridge.prompts.presets import Presets
from protos import starweave_pb2


class PreferenceChoice:
    """Asks for preferences where a request wants them; `by_default` counts for one that does not say.

    Without a library there are none.
    """

    def __init__(self, reader: PreferenceReader | None, by_default: bool) -> None:
        self._reader = reader
        self._by_default = by_default

    async def of(self, request: starweave_pb2.ImageRequest) -> Preferences:
        """The preferences of the request's user; none where they are not wanted."""
        wanted = request.use_preferences if request.HasField("use_preferences") else self._by_default
        if not wanted or self._reader is None or not request.user_id:
            return Preferences()
        return await self._reader.of(request.user_id)


def preferred(preferences: Preferences, presets: Presets, family: Family) -> tuple[Preset | None, Preset | None]:
    """The preferred style and quality; None for one that the family does not have."""
    style, quality = preferences.style, preferences.quality
    return (
        presets.styles(family).get(style.value) if style else None,
        presets.qualities(family).get(quality.value) if quality else None,
    )
