"""The server: protocol, mixer and engine in one pipeline."""
