"""The report of `make verify`, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

JSON_NAME = "verify.json"
REPORT_NAME = "verify.md"

Entries = Mapping[str, Mapping[str, Any]]


def update(folder: Path, entries: Entries) -> None:
    """Writes the report anew; a part that was not run this time keeps its entry from before."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / JSON_NAME
    before: Entries = json.loads(file.read_text()) if file.exists() else {}
    all_entries = dict(sorted((before | dict(entries)).items()))
    file.write_text(json.dumps(all_entries, indent=1) + "\n")
    (folder / REPORT_NAME).write_text(_markdown(all_entries))


def _markdown(entries: Entries) -> str:
    lines = ["# What `make verify` found", "", "| part | shows | held | minutes | when |", "|---|---|---|---|---|"]
    for name, entry in entries.items():
        held = "yes" if entry["held"] else "**no**"
        lines.append(f"| {name} | {entry['title']} | {held} | {entry['seconds'] / 60:.1f} | {entry['began']} |")
    for name, entry in entries.items():
        machine = entry["machine"]
        lines += ["", f"## {name}", "", f"{entry['title']} {machine['processor']}, {machine['cores']} cores.", ""]
        lines += [f"- {'held' if check['held'] else '**failed**'}: {check['sentence']}" for check in entry["checks"]]
        if entry["error"]:
            lines += ["```", entry["error"].rstrip(), "```"]
        if entry["figures"]:
            lines += ["", "| figure | |", "|---|---|"]
            lines += [f"| {figure} | {_text(value)} |" for figure, value in entry["figures"].items()]
    return "\n".join(lines) + "\n"


def _text(value: int | float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
