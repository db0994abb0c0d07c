"""The embeddings of prompts in memory, searched exactly: one product of a matrix and a vector."""

from threading import Lock

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from bridge.library.database import Database
from bridge.library.embedding import Vector
from bridge.library.schema import prompts

_BATCH = 1000
# Clocks of bridges that share a database may differ by so much, and a transaction take so long.
_OVERLAP_MS = 60_000


class PromptIndex:
    """The embeddings of one space. 100,000 prompts of width 768 take 300 MB."""

    def __init__(self, space: str) -> None:
        self._space = space
        self._numbers = np.zeros(0, np.int64)
        self._matrix = np.zeros((0, 0), np.float32)
        self._count = 0
        self._known: set[int] = set()
        self._newest = 0
        self._lock = Lock()

    def nearest(
        self, database: Database, vector: Vector, among: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], Vector]:
        """The numbers of all prompts, or of those `among` these, with their cosines; the nearest first."""
        with self._lock:
            self._refresh(database)
            numbers, matrix = self._numbers[: self._count], self._matrix[: self._count]
        if among is not None:
            chosen = np.isin(numbers, among)
            numbers, matrix = numbers[chosen], matrix[chosen]
        if not len(numbers):
            return numbers, np.zeros(0, np.float32)
        cosines = matrix @ vector
        order = np.argsort(-cosines, kind="stable")
        return numbers[order], cosines[order]

    def _refresh(self, database: Database) -> None:
        recent = select(prompts.c.number, prompts.c.embedded_at).where(
            prompts.c.space == self._space, prompts.c.embedded_at > self._newest - _OVERLAP_MS
        )
        with database.reading() as connection:
            found = connection.execute(recent).all()
            fresh = [number for number, _ in found if number not in self._known]
            for start in range(0, len(fresh), _BATCH):
                batch = prompts.c.number.in_(fresh[start : start + _BATCH])
                for number, vector in connection.execute(select(prompts.c.number, prompts.c.vector).where(batch)):
                    self._append(number, np.frombuffer(vector, "<f4"))
        self._newest = max([self._newest, *(embedded_at for _, embedded_at in found)])

    def _append(self, number: int, vector: Vector) -> None:
        if self._count == len(self._numbers):
            room = max(_BATCH, 2 * self._count)
            # New arrays: a search that is under way keeps the old ones.
            self._numbers = np.resize(self._numbers, room)
            matrix = np.zeros((room, len(vector)), np.float32)
            if self._count:
                matrix[: self._count] = self._matrix[: self._count]
            self._matrix = matrix
        self._numbers[self._count] = number
        self._matrix[self._count] = vector
        self._count += 1
        self._known.add(number)
