"""Where an agent gets lines and samples; one file a source."""
