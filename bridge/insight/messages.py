"""Counts, reports and preferences in the words of their service."""

from collections.abc import Sequence

from bridge.errors import InvalidRequest
from bridge.insight.experiment_report import ArmReport
from bridge.insight.interval import Interval
from bridge.insight.preferences import Preference, Preferences
from bridge.insight.usage import Dimension, Use
from protos import image_insight_pb2


def read_dimension(number: int) -> Dimension:
    """The dimension that a request asks for. Raises InvalidRequest for one that there is not."""
    dimensions = list(Dimension)
    if not 0 <= number < len(dimensions):
        raise InvalidRequest(f"by is {number}; it must be one of {', '.join(dimensions)}.")
    return dimensions[number]


def usage_message(uses: Sequence[Use]) -> image_insight_pb2.UsageReport:
    """The counts."""
    return image_insight_pb2.UsageReport(
        uses=[
            image_insight_pb2.UsageReport.Use(
                name=use.name,
                images=use.images,
                repeats=use.repeats,
                users=use.users,
                rated=use.rated,
                mean_rating=use.mean_rating or 0.0,
                mean_generation_time_ms=use.mean_generation_ms,
            )
            for use in uses
        ]
    )


def experiment_message(arms: Sequence[ArmReport]) -> image_insight_pb2.ExperimentReport:
    """The arms of an experiment."""
    return image_insight_pb2.ExperimentReport(
        arms=[
            image_insight_pb2.ExperimentReport.Arm(
                name=arm.arm,
                template=arm.template,
                images=arm.images,
                users=arm.users,
                rated=arm.rated,
                raters=arm.raters,
                rating=_interval(arm.rating),
                difference=_interval(arm.difference),
                mean_generation_time_ms=arm.mean_generation_ms,
            )
            for arm in arms
        ]
    )


def preferences_message(found: Preferences) -> image_insight_pb2.UserPreferences:
    """A user's preferences."""
    message = image_insight_pb2.UserPreferences(style=_preference(found.style), quality=_preference(found.quality))
    if found.since:
        message.reset_at.FromMilliseconds(found.since)
    return message


def _interval(interval: Interval | None) -> image_insight_pb2.ExperimentReport.Interval | None:
    if interval is None:
        return None
    return image_insight_pb2.ExperimentReport.Interval(value=interval.value, low=interval.low, high=interval.high)


def _preference(preference: Preference | None) -> image_insight_pb2.UserPreferences.Preference | None:
    if preference is None:
        return None
    return image_insight_pb2.UserPreferences.Preference(
        value=preference.value, images=preference.pictures, share=preference.share
    )
