"""An exponential moving average of parameters, the weights that are saved."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch.nn import Parameter


class MovingAverage:
    """Follows parameters; `swapped_in` lends them the averages (as in Song and Ermon, 2020, "Improved techniques")."""

    def __init__(self, parameters: Iterable[Parameter], decay: float) -> None:
        """`decay` in [0, 1): the part of the average that each update keeps; the first updates keep less."""
        self._parameters = list(parameters)
        self._decay = decay
        self._updates = 0
        self._averages = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Moves the averages towards the parameters; to be called after every optimizer step."""
        decay = min(self._decay, (1 + self._updates) / (20 + self._updates))
        torch._foreach_lerp_(self._averages, [parameter.detach() for parameter in self._parameters], 1 - decay)
        self._updates += 1

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Puts the averages in the parameters' place for as long as the context lasts."""
        trained = [parameter.detach().clone() for parameter in self._parameters]
        self._write(self._averages)
        try:
            yield
        finally:
            self._write(trained)

    @torch.no_grad()
    def _write(self, values: list[torch.Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=True):
            parameter.copy_(value)
