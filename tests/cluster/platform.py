"""A small platform of a test's own: one chart for everything, and Carbon run on it."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carbon_platform.materialization.outcome import Options, Outcome
from carbon_platform.materialization.release import materialize_release
from carbon_platform.materialization.session import Session
from carbon_platform.settings import Settings
from tests.definitions import Definitions

CARBON = Path(sys.executable).with_name("carbon")
TOLERATIONS = [{"key": "kwok.x-k8s.io/node", "operator": "Exists", "effect": "NoSchedule"}]
"""Simulated nodes keep everybody else away."""

CHART = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {text: {{ .Values.text | quote }}}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {app: {{ .Release.Name }}}
  ports: [{port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      terminationGracePeriodSeconds: 0
      tolerations: {{ .Values.tolerations | toJson }}
      containers:
        - name: main
          image: {{ .Values.image }}
          resources: {requests: {memory: {{ .Values.memory }}}}
{{- range .Values.objects }}
---
{{ toYaml . }}
{{- end }}
"""
VALUES = {
    "text": "hello",
    "replicas": 1,
    "image": "example.test/app:1",
    "memory": "1Mi",
    "objects": [],
    "tolerations": TOLERATIONS,
}


class SmallPlatform(Definitions):
    """Components that a test defines, in a namespace of its own, with records and Dagster storage of its own."""

    def __init__(self, folder: Path, cache: Path, kubeconfig: Path, context: str, namespace: str) -> None:
        super().__init__(folder)
        self.home, self.namespace = folder / "home", namespace
        self._cache, self._kubeconfig, self._context = cache, kubeconfig, context
        chart = self.chart(all=CHART)
        (chart / "values.yaml").write_text(json.dumps(VALUES), encoding="utf-8")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CARBON_", "DAGSTER_"))},
            "CARBON_HOME": str(self.home),
            "CARBON_CACHE": str(cache),
            "CARBON_DEFS": str(self.defs),
            "CARBON_CONTEXT": context,
            "CARBON_KUBECONFIG": str(kubeconfig),
            "CARBON_SETTLE_SECONDS": "0",
        }

    def define(self, key: str = "app", **attributes: Any) -> None:
        """A release of the small chart."""
        self.release(key, **{"namespace": self.namespace, **attributes})

    def settings(self, profile: Any = "local", **changed: Any) -> Settings:
        """The settings that the environment says, for use in the test's own process."""
        return Settings(
            home=self.home,
            cache=self._cache,
            defs=self.defs,
            context=self._context,
            kubeconfig=self._kubeconfig,
            profile=profile,
            settle_seconds=0,
            **changed,
        )

    async def up(self, session: Session, key: str = "app", **options: Any) -> Outcome:
        """Materialize one component in this process, as its asset does."""
        return await materialize_release(self.load().components[key], session, Options(**options))

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Carbon, running. Its output can be read from it."""
        return subprocess.Popen(
            [CARBON, *arguments],
            env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def carbon(
        self, *arguments: str, code: int = 0, seconds: float = 120, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Carbon, run to its end."""
        process = self.start(*arguments, environment=environment)
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"carbon {arguments} did not end within {seconds} s\n{out}\n{err}") from None
        assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def json(self, *arguments: str, code: int = 0, **rest: Any) -> Any:
        """What Carbon prints as JSON."""
        return json.loads(self.carbon(*arguments, "--json", code=code, **rest).stdout)

    def states(self, code: int = 0) -> dict[str, str]:
        """The state of each component."""
        return {one["key"]: one["state"] for one in self.json("status", code=code)["components"]}

    def runs(self) -> int:
        """How many Dagster runs there were."""
        with sqlite3.connect(self.home / "dagster" / "history" / "runs.db") as db:
            (count,) = db.execute("select count(*) from runs").fetchone()
        db.close()
        return int(count)
