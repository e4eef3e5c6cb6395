"""The graph of pyo objects, and the only package that imports pyo."""

import contextlib
import io
import os

os.environ["PYO_GUI_WX"] = "0"  # without wx, importing pyo looks for Tk
# And without Tk, as on a minimal machine, it prints a banner, which would stand in the
# middle of `peep render --json`.
with contextlib.redirect_stdout(io.StringIO()):
    import pyo  # noqa: F401 - imported first here, for its silence
