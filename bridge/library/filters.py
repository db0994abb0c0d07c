"""Which pictures are meant: conditions on the table of images."""

from dataclasses import dataclass, fields

from sqlalchemy import ColumnElement

from bridge.library.schema import images


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Conditions that a picture must meet; None lets everything through.

    `since` (inclusive) and `until` (exclusive) are Unix times in milliseconds.
    """

    user_id: str | None = None
    family: str | None = None
    style: str | None = None
    template: str | None = None
    experiment: str | None = None
    since: int | None = None
    until: int | None = None
    min_rating: int | None = None
    max_rating: int | None = None

    @property
    def is_open(self) -> bool:
        """Tells whether everything is let through."""
        return all(getattr(self, field.name) is None for field in fields(self))

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions in SQL."""
        equal = {name: getattr(self, name) for name in ("user_id", "family", "style", "template", "experiment")}
        found = [images.c[name] == value for name, value in equal.items() if value is not None]
        if self.since is not None:
            found.append(images.c.created_at >= self.since)
        if self.until is not None:
            found.append(images.c.created_at < self.until)
        if self.min_rating is not None:
            found.append(images.c.rating >= self.min_rating)
        if self.max_rating is not None:
            found.append(images.c.rating <= self.max_rating)
        return found
