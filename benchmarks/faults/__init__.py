"""What goes wrong in production, done to a real server under load: how many requests it costs, for how long, and what
is left over.

`matrix.py` names the faults; the tests run the cheap ones small, `make verify PARTS=faults` all of them.
"""
