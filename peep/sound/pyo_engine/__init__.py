"""The graph of pyo objects, and the only package that imports pyo."""

import os

os.environ["PYO_GUI_WX"] = "0"  # else importing pyo prints a banner
