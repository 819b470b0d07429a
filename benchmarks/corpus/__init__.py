"""Charts that others made, on simulated nodes: does each deploy, come to rest, and go again?"""
