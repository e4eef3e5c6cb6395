"""The only package that imports pyo."""
