"""What a defs.yaml may say: read, validated with file and line, resolved for a profile, ordered by need."""
