"""One materialization: preflight → claim → recover → plan → guard → apply → wait → verify → record."""
