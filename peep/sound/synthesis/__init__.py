"""Recipes: natural one-shots as arrays."""
