"""The service over what the library tells; errors are the interceptor's, as statuses."""

from typing import Any

import grpc

from bridge.errors import InvalidRequest
from bridge.insight.experiment_report import experiment_report
from bridge.insight.messages import experiment_message, preferences_message, read_dimension, usage_message
from bridge.insight.preference_reader import PreferenceReader
from bridge.insight.preferences import preferences_of, reset_preferences
from bridge.insight.usage import usage
from bridge.library.library import Library
from bridge.library.messages import plain, read_filter
from protos import image_insight_pb2, image_insight_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

INSIGHT_SERVICE = "starweave.ImageInsightService"
_MAX_USES = 1000
_USES = 100


class ImageInsightService(image_insight_pb2_grpc.ImageInsightServiceServicer):
    """Answers from one library."""

    def __init__(self, library: Library, preferences: PreferenceReader) -> None:
        self._library = library
        self._preferences = preferences

    async def GetUsage(
        self, request: image_insight_pb2.UsageRequest, context: Context
    ) -> image_insight_pb2.UsageReport:
        """Counts pictures."""
        if not 0 <= request.limit <= _MAX_USES:
            raise InvalidRequest(f"limit is {request.limit}; it must be from 1 to {_MAX_USES}, or 0 for {_USES}.")
        library, chosen, by = self._library, read_filter(request.filter), read_dimension(request.by)
        await library.refresh()
        return usage_message(await library.threads.run(usage, library.database, chosen, by, request.limit or _USES))

    async def GetExperimentReport(
        self, request: image_insight_pb2.ExperimentReportRequest, context: Context
    ) -> image_insight_pb2.ExperimentReport:
        """Compares the arms of an experiment; one that nobody has taken part in has none."""
        if not request.name:
            raise InvalidRequest("name is empty; say which experiment is meant.")
        library, name = self._library, plain("name", request.name)
        await library.refresh()
        return experiment_message(await library.threads.run(experiment_report, library.database, name))

    async def GetPreferences(
        self, request: image_insight_pb2.PreferencesRequest, context: Context
    ) -> image_insight_pb2.UserPreferences:
        """Tells of a user's preferences, what was answered a moment ago included."""
        user_id, library = _user(request), self._library
        await library.settled()
        return preferences_message(await library.threads.run(preferences_of, library.database, user_id))

    async def ResetPreferences(
        self, request: image_insight_pb2.PreferencesRequest, context: Context
    ) -> image_insight_pb2.UserPreferences:
        """Forgets a user's preferences."""
        user_id, library = _user(request), self._library
        await library.refresh()
        found = await library.threads.run(reset_preferences, library.database, user_id)
        self._preferences.forget(user_id)
        return preferences_message(found)


def _user(request: image_insight_pb2.PreferencesRequest) -> str:
    if not request.user_id:
        raise InvalidRequest("user_id is empty; say whose preferences are meant.")
    return plain("user_id", request.user_id)
