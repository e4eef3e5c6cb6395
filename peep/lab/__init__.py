"""Whole systems in one place."""
