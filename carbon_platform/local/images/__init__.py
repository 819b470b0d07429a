"""How an image comes onto the local node: from a registry, from a cached archive, or built from its recipe."""
