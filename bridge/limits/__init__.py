"""How much is taken at the same time and from whom: the bound on all pictures, and the shares of users and keys."""
