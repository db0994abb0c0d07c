"""The verbs of `starweave`, one file each."""
