"""What a defs.yaml may say: read, validated with file and line, resolved for an environment, ordered by need."""
