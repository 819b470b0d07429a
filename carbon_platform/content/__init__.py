"""What lives inside a component (topics, tables, workflows): one module per product, planned, then applied."""
