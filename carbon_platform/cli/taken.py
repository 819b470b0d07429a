"""Ports of this machine that a command can't serve on."""

import errno

from carbon_platform.errors import ConfigurationError


def taken(port: int, error: OSError) -> ConfigurationError:
    """What to raise where listening on a port failed: with the process that has it."""
    summary, another = f"port {port} can't be used", "choose another with --port"
    if error.errno != errno.EADDRINUSE:
        return ConfigurationError(summary, str(error), another)
    from carbon_platform.local.ports import holder

    has_it = holder(port) or "a process that this user can not see"
    return ConfigurationError(summary, f"{has_it} has it", f"end that process, or {another}")
