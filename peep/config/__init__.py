"""YAML is refused with every problem at once, or becomes frozen values."""
