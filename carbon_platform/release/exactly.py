"""What was planned is what Helm applies: its own render gives way to the manifest of the plan.

`helm upgrade` renders once more, and a chart may draw or look up something else then. A post-renderer, which Helm 4
takes from a plugin, answers with what was planned, whatever Helm rendered.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NAME = "carbon-planned"
_PLUGIN = f"""apiVersion: v1
type: postrenderer/v1
name: {_NAME}
version: 1.0.0
runtime: subprocess
runtimeConfig:
  platformCommand:
    - command: cat
"""
_PLUGINS = "HELM_PLUGINS"


@contextlib.contextmanager
def exactly(manifest: str, cache: Path) -> Iterator[list[str]]:
    """The arguments with which Helm applies this manifest. It is in a file that only its owner can read, meanwhile."""
    if not manifest.strip():
        yield []  # nothing is rendered, so that nobody is asked
        return
    _install(cache / "helm-plugins")
    handle, name = tempfile.mkstemp(dir=cache / "helm-plugins", suffix=".yaml")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(manifest)
        yield ["--post-renderer", _NAME, "--post-renderer-args", name]
    finally:
        Path(name).unlink(missing_ok=True)


def _install(folder: Path) -> None:
    """Have Helm find the plugin, beside those that a person has."""
    file = folder / _NAME / "plugin.yaml"
    if not file.exists() or file.read_text(encoding="utf-8") != _PLUGIN:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(_PLUGIN, encoding="utf-8")
        temporary.replace(file)
    known = os.environ.get(_PLUGINS)
    others = known if known else str(_data_home() / "plugins")
    if str(folder) not in others.split(os.pathsep):
        os.environ[_PLUGINS] = os.pathsep.join([str(folder), others])


def _data_home() -> Path:
    """Where Helm keeps plugins when nothing says otherwise."""
    if told := os.environ.get("HELM_DATA_HOME"):
        return Path(told)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "helm"
