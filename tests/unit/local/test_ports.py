import os
import socket

import pytest

from carbon_platform.errors import Conflict
from carbon_platform.local.ports import free_ports, listening, refuse_taken

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:094B 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   2: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""


def test_only_sockets_that_listen_hold_a_port() -> None:
    assert listening(TABLE, 2379) == {"socket:[4711]"}
    assert listening(TABLE, 6443) == {"socket:[4713]"}
    assert listening(TABLE, 1) == set()


def test_a_taken_port_is_told_with_its_process_and_what_wanted_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"port {port} is in use, and etcd needs it") as refused:
            refuse_taken([("127.0.0.1", port, "etcd")])
    assert f"(process {os.getpid()})" in refused.value.cause


def test_a_port_that_is_taken_on_every_address_is_taken_on_one_that_is_not_there_yet() -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as taken,
        pytest.raises(Conflict, match="kube-apiserver needs it"),
    ):
        refuse_taken([("10.77.0.1", taken.getsockname()[1], "kube-apiserver")])


def test_a_port_that_is_free_or_taken_on_another_address_is_none_of_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refuse_taken([("127.0.0.2", taken.getsockname()[1], "etcd")])
    refuse_taken([("127.0.0.1", free_ports(1)[0], "etcd")])


def test_free_ports_are_different_ones() -> None:
    assert len(set(free_ports(20))) == 20
