"""Arguments in, text out; nothing else."""
