"""Everything on one machine without Docker: finds Triton, starts it with the bridge, keeps both up, stops both."""
