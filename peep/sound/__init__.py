"""The edge to the ear: synthesis, engine, outputs."""

import os

# Blocks are small: threads that share the work of one spin longer than they work, and
# three times the processor time is gone. Before numpy is loaded; whoever set it knows.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
