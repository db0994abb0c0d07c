"""A picture's size on the command line."""

from __future__ import annotations

import re

import click


class Size(click.ParamType[tuple[int, int]]):
    """WIDTHxHEIGHT in pixels, such as 512x768."""

    name = "WIDTHxHEIGHT"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """(width, height) of the text `value`."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value)
        if match is None:
            self.fail(f"{value} is not a size: write it as 512x512.", param, ctx)
        return int(match[1]), int(match[2])
