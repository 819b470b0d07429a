"""What the mart tells."""

import os
from typing import Any

import dagster as dg
import httpx2

from carbon_platform.components import require_verified

_SALES = "select region, sum(amount) from (values ('north', 3), ('south', 4), ('north', 5)) as t (region, amount)"


@dg.asset(deps=["trino"], group_name="mart")
@require_verified("trino")
def revenue() -> dg.MaterializeResult[Any]:
    """Revenue of each region, summed up by Trino."""
    rows = query(f"{_SALES} group by region order by region")
    return dg.MaterializeResult(metadata=dict(rows))


def query(sql: str) -> list[list[Any]]:
    """The rows that Trino gives, at the address that TRINO_URL says."""
    rows: list[list[Any]] = []
    with httpx2.Client(base_url=os.environ["TRINO_URL"], headers={"X-Trino-User": "mart"}, timeout=60) as client:
        answer = client.post("/v1/statement", content=sql).raise_for_status().json()
        while True:
            rows += answer.get("data") or []
            if "error" in answer:
                raise RuntimeError(answer["error"]["message"])
            if "nextUri" not in answer:
                return rows
            answer = client.get(answer["nextUri"]).raise_for_status().json()
