"""`python -m export CHECKPOINT --name NAME --repository DIRECTORY`."""

from export.command import export

export(prog_name="python -m export")
