"""Dagster's daemon, which begins when the code server answers.

It looks at its schedules once a minute, and counts from when it first saw them: one that begins too early to see any
leaves out what is due first.
"""

import socket
import sys
import time

from dagster._daemon.cli import main as dagster_daemon_command

_LOOK_AGAIN = 0.1


def main() -> None:
    """`dagster-daemon` with its options, after the port of the code server on this machine: `PORT run --workspace …`.

    What it imports is imported meanwhile; so waiting costs no time.
    """
    port = int(sys.argv.pop(1))
    while not _answers(port):
        time.sleep(_LOOK_AGAIN)
    dagster_daemon_command()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
