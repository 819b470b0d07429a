"""A stand-in for DataHub: its endpoints over the real PostgreSQL and the real Kafka.

It is not the product, and a pass on it says nothing about the product: it shows that Carbon's own side works.
"""
