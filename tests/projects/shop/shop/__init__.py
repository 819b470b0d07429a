"""Somebody else's Dagster project, with components of Carbon beside data assets of its own."""
