"""How Helm is started, so that it ends when nobody waits for it any more."""

from pathlib import Path

from pyhelm3.command import Command


class Replacing(Command):  # type: ignore[misc]
    """The shell in which pyhelm3 starts Helm gives way to it: else only that shell would be ended, and Helm work on."""

    def __init__(self, program: Path, kubeconfig: Path | None, context: str | None) -> None:
        super().__init__(executable="exec", kubeconfig=kubeconfig, kubecontext=context)
        self._program = str(program)

    async def run(self, command: list[str], input: bytes | None = None) -> bytes:  # noqa: A002 - it is pyhelm3's name
        """What Helm prints. Cancelled, it returns when Helm has ended."""
        told: bytes = await super().run([self._program, *command], input)
        return told
