"""Everything Lightning: the module, its callbacks, the command line."""
