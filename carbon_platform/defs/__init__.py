"""The platform: a folder per component with its defs.yaml."""
