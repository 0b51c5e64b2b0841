"""Ports: one for all addresses, and a clear word when it can't be had."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from p2pslinger.errors import UnavailableError
from p2pslinger.net import ports
from p2pslinger.net.ports import open_sockets
from p2pslinger.net.streams import PortTakenError


@contextlib.contextmanager
def opened(host: str | None, port: int = 0) -> Iterator[list[socket.socket]]:
    sockets = open_sockets(host, port)
    try:
        yield sockets
    finally:
        for listener in sockets:
            listener.close()


def port_of(sockets: list[socket.socket]) -> int:
    port: int = sockets[0].getsockname()[1]
    return port


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["", None])
def test_every_address_is_one_port_for_both_families(host: str | None) -> None:
    with opened(host) as sockets:
        assert len({listener.getsockname()[1] for listener in sockets}) == 1
        assert len(sockets) == (2 if has_ipv6() else 1)
        for listener in sockets:
            socket.create_connection(("127.0.0.1", port_of(sockets))).close()
            assert not listener.getblocking()


def test_one_address_is_one_socket() -> None:
    with opened("127.0.0.1") as sockets:
        assert [listener.getsockname()[0] for listener in sockets] == ["127.0.0.1"]


def test_a_taken_port_is_named_with_its_owner_and_the_remedy() -> None:
    with opened("127.0.0.1") as sockets:
        port = port_of(sockets)
        with pytest.raises(PortTakenError) as caught, opened("127.0.0.1", port):
            pass
        text = str(caught.value)
        assert f"port {port} is taken by" in text
        assert f"(process {os.getpid()})" in text
        assert "--port" in text


def test_an_owner_that_cannot_be_seen_is_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ports, "owner_of", lambda port: "")
    with opened("127.0.0.1") as sockets:
        taken = opened("127.0.0.1", port_of(sockets))
        with pytest.raises(PortTakenError, match="by another process"), taken:
            pass


def test_nobody_owns_a_free_port() -> None:
    with opened("127.0.0.1") as sockets:
        port = port_of(sockets)
    assert ports.owner_of(port) == ""


def test_a_port_taken_for_one_family_is_taken() -> None:
    with opened("0.0.0.0") as sockets:
        taken = opened(None, port_of(sockets))
        with pytest.raises(PortTakenError), taken:
            pass


def test_a_port_can_be_taken_again_at_once() -> None:
    with opened("127.0.0.1") as sockets:
        port = port_of(sockets)
        there = socket.create_connection(("127.0.0.1", port))
        here, _ = sockets[0].accept()
        here.close()  # this end waits in TIME_WAIT
        there.close()
    with opened("127.0.0.1", port) as sockets:
        assert port_of(sockets) == port


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(UnavailableError, match=f"can't listen on '?{host}"):
        open_sockets(host, 0)
