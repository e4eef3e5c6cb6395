"""Protocol version 3: pure machines and their wire."""
