"""Workflows of a DolphinScheduler."""

import contextlib
from collections.abc import AsyncIterator
from typing import ClassVar

from pydantic import Field

from carbon_platform.checks.dolphinscheduler_definitions import ensure, ensure_project, load
from carbon_platform.checks.dolphinscheduler_session import Scheduler, scheduler
from carbon_platform.checks.dolphinscheduler_workflows import Workflow, difference
from carbon_platform.cluster.reach import Reach
from carbon_platform.content.base import Content, ContentChange


class WorkflowContent(Content):
    """A declared workflow with its schedule: made, changed in place, put online; nothing else of a project is touched.

    DolphinScheduler keeps the older versions of a definition, so no change of one loses anything.
    """

    summary: ClassVar[str] = "A DolphinScheduler workflow with its tasks and its schedule."

    service: str = Field("dolphinscheduler-api", description="Service of the API server.")
    port: int = Field(12345, ge=1, le=65535)
    service_namespace: str | None = Field(None, description="Where it is; the component's namespace by default.")
    user: str = Field("admin", min_length=1)
    secret: str = Field("dolphinscheduler-admin", description="Secret with this user's password.")
    key: str = "password"
    project: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,60}$")
    workflow: Workflow

    def objects(self) -> tuple[str, ...]:
        """None: a workflow is what it is declared to be, and holds no data."""
        return ()

    async def plan(self, reach: Reach) -> list[ContentChange]:
        """The project and the workflow to make, or each field that differs."""
        async with self._scheduler(reach) as session:
            project = await session.project(self.project)
            live = await load(session, project, self.workflow.name) if project is not None else None
        changes = [ContentChange(f"project {self.project}", "create", creates=True)] if project is None else []
        found = difference(self.workflow, live)
        name = f"workflow {self.project}/{self.workflow.name}"
        return changes + [ContentChange(name, step, creates=live is None) for step in (found.steps() if found else ())]

    async def apply(self, reach: Reach) -> None:
        """Make it so. What runs meanwhile runs on, as the version it was started as."""
        async with self._scheduler(reach) as session:
            project = await ensure_project(session, self.project, "")
            await ensure(session, project, self.workflow)

    @contextlib.asynccontextmanager
    async def _scheduler(self, reach: Reach) -> AsyncIterator[Scheduler]:
        password = await reach.secret(self.secret, self.key, self.service_namespace)
        async with scheduler(reach, self.service, self.port, self.service_namespace) as session:
            await session.login(self.user, password)
            yield session


CONTENT = {"workflow": WorkflowContent}
