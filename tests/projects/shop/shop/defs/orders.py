"""Data of the shop."""

import dagster as dg

from carbon_platform.components import require_verified


@dg.asset(deps=["redis"], group_name="shop")
def orders() -> None:
    """Orders, which need nothing but to come after the sessions."""


@dg.asset(deps=["redis"], group_name="shop")
@require_verified("redis")
def sessions() -> None:
    """Sessions, which are read from the cache."""
