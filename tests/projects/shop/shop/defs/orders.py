"""Data of the shop."""

import dagster as dg


@dg.asset(deps=["redis"], group_name="shop")
def orders() -> None:
    """Orders, with the sessions that they came from."""
