"""The words of a text, as the library's search knows them: the same on SQLite and on PostgreSQL."""

import re

# Letters and digits of every script. What the databases' own parsers think a word is differs.
_WORD = re.compile(r"[^\W_]+")
# PostgreSQL refuses words of more than 2046 bytes; no letter takes more than 4.
_LONGEST = 200


def words_of(text: str) -> list[str]:
    """The words in their order, without case, cut where they are longer than any real one."""
    return [word[:_LONGEST] for word in _WORD.findall(text.casefold())]
