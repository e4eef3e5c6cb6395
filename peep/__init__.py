"""Peep: hear your network."""

__version__ = "0.1.0"
