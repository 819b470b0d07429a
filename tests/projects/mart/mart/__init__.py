"""A Dagster project with data assets alone, which need components of the platform that comes with Carbon."""
