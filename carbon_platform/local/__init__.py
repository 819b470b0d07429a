"""A real Kubernetes on this machine, and the programs and images for it."""
