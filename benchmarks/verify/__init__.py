"""`make verify`: what takes too long for the tests, run at full count and written into a report.

Each module in `parts/` is one part: the first line of its docstring says what it shows, and its `run(folder, say)`
returns the Findings. A part starts what it needs, stops all of it, and takes its time from no other.
"""
