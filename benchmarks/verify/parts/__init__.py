"""The parts of `make verify`, one module each, found by their being here."""
