"""The edge to the ear: synthesis, engine, outputs."""
