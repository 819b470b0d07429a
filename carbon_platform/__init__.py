"""Carbon: deploys, verifies and heals a data platform on Kubernetes, every component a Dagster asset."""
