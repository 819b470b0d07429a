"""A stand-in for DolphinScheduler: a small server that answers what was recorded from a real one.

It is not the product, and a pass on it says nothing about the product: it shows that Carbon's own side works.
"""
