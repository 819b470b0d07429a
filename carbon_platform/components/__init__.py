"""The Dagster component types: a defs.yaml becomes an asset with its checks."""
