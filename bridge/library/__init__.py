"""The image library: every finished picture is kept, found again, rated, and deleted when its time has come."""
