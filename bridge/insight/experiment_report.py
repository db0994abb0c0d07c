"""How the arms of an experiment with templates compare."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from bridge.insight.interval import Interval, difference_interval, mean_interval
from bridge.library.database import Database
from bridge.library.schema import images


@dataclass(frozen=True, slots=True)
class ArmReport:
    """One arm: its finished pictures, their users, how many are rated by how many users, and how well.

    `rating` is the mean of the users' mean ratings, as users, not pictures, were assigned by chance; `difference` is to
    the rating of the first arm. Both are None where nothing is rated.
    """

    arm: str
    template: str
    images: int
    users: int
    rated: int
    raters: int
    rating: Interval | None
    difference: Interval | None
    mean_generation_ms: float


def experiment_report(database: Database, name: str) -> Sequence[ArmReport]:
    """The arms of an experiment that the library holds pictures of; the one without a template first, then by name."""
    statement = (
        select(
            images.c.experiment,
            images.c.template,
            images.c.user_id,
            func.count(),
            func.count(images.c.rating),
            func.avg(images.c.rating),
            func.sum(images.c.generation_ms),
        )
        .where(images.c.experiment.startswith(f"{name}/", autoescape=True))
        .group_by(images.c.experiment, images.c.template, images.c.user_id)
        .order_by(images.c.user_id)
    )
    with database.reading() as connection:
        rows = connection.execute(statement).all()
    arms = sorted({(bool(template), experiment, template) for experiment, template, *_ in rows})
    ratings = {
        experiment: [float(row[5]) for row in rows if row[0] == experiment and row[5] is not None]
        for _, experiment, _ in arms
    }
    reports = []
    for _, experiment, template in arms:
        own = [row for row in rows if row[0] == experiment]
        count = sum(row[3] for row in own)
        is_first = experiment == arms[0][1]
        reports.append(
            ArmReport(
                arm=experiment.partition("/")[2],
                template=template,
                images=count,
                users=len(own),
                rated=sum(row[4] for row in own),
                raters=len(ratings[experiment]),
                rating=mean_interval(ratings[experiment]),
                difference=None if is_first else difference_interval(ratings[experiment], ratings[arms[0][1]]),
                mean_generation_ms=float(sum(row[6] for row in own)) / count,
            )
        )
    return reports
