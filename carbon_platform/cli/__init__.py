"""`carbon …`: one module per command, for hands and for scripts."""
