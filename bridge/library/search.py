"""Lists pictures a page at a time, and finds them by the words of their prompts."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, column, literal, select, table, text

from bridge.library.database import Database
from bridge.library.filters import ImageFilter
from bridge.library.record import LibraryImage
from bridge.library.records import image_of
from bridge.library.schema import images
from bridge.library.words import words_of

# SQLite's table of words, whose rowid is the image's number.
_words = table("image_words", column("rowid"), column("image_words"))


@dataclass(frozen=True, slots=True)
class Page:
    """Some pictures, newest first; `next_before` is the number that the next page lies before, None on the last."""

    images: Sequence[LibraryImage]
    next_before: int | None


class Search:
    """Looks into one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, chosen: ImageFilter, size: int, before: int | None = None, query: str = "") -> Page:
        """Up to `size` pictures that were recorded before the one of this number, newest first.

        Each word of `query` must begin a word of the prompt, as given or as sent; without words it asks for nothing.
        """
        statement = select(images).where(*chosen.conditions())
        order: ColumnElement[int] = images.c.number
        if words := words_of(query):
            if self._database.is_sqlite:
                # Through the table of words in its own order, so that a common word is not followed to its end.
                order = _words.c.rowid
                statement = statement.join(_words, _words.c.rowid == images.c.number)
                match = " ".join(f'"{word}"*' for word in words)
                statement = statement.where(_words.c.image_words.match(match))
            else:
                match = " & ".join(f"'{word}':*" for word in words)
                statement = statement.where(text("word_vector @@ CAST(:words AS tsquery)").bindparams(words=match))
        if before is not None:
            statement = statement.where(order < literal(before))
        with self._database.reading() as connection:
            rows = connection.execute(statement.order_by(order.desc()).limit(size + 1)).all()
        found = [image_of(row) for row in rows[:size]]
        return Page(found, found[-1].number if len(rows) > size else None)
