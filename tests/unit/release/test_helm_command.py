"""Whoever gives up waiting for Helm ends it."""

import asyncio
import os
from pathlib import Path

import pytest

from carbon_platform.release.helm_command import Replacing


async def test_helm_ends_with_whoever_waits_for_it(tmp_path: Path) -> None:
    began, program = tmp_path / "began", tmp_path / "helm"
    os.mkfifo(began)
    program.write_text(f'#!/bin/sh\necho "$1" > {began}\nexec sleep 60\n', encoding="utf-8")
    program.chmod(0o755)
    working = asyncio.create_task(Replacing(program, None, None).run(["upgrade"]))
    assert await asyncio.to_thread(began.read_text, encoding="utf-8") == "upgrade\n"
    working.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await working


async def test_what_helm_prints_comes_back(tmp_path: Path) -> None:
    program = tmp_path / "helm"
    program.write_text('#!/bin/sh\necho "$@"; cat\n', encoding="utf-8")
    program.chmod(0o755)
    command = Replacing(program, Path("a file"), "here")
    assert await command.run(["get", "it"], b"values") == b"get it --kubeconfig a file --kube-context here\nvalues"
