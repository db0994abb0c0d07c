"""`starweave doctor`: each file examines one side of an installation and says in words what is wrong with it."""
