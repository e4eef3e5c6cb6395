"""The mixer: signals in, commands for the engine out. Pure."""
