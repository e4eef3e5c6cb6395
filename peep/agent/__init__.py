"""The agent: sources, rules, the protocol's agent side."""
