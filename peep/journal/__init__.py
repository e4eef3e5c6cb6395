"""What came in and what became of it, on disk; the agent's store as well."""
