"""Functional checks, one module per protocol or product: does the component do its work?"""
