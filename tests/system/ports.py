# SPDX-License-Identifier: ISC
"""
Ports for what a test starts.

They lie below those that a machine gives away by itself (ip_local_port_range):
between the choice and the start of a server, nobody's connection or question
takes one.  Other tests on the machine keep away by the name of a socket, which
is held until the process ends.
"""
import errno
import random
import socket

PORTS = range(20000, 32768)
FAMILIES = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")
held = []


def can_bind(family, kind, address, port):
    with socket.socket(family, kind) as s:
        if kind == socket.SOCK_STREAM:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)     # as servers do
        s.bind((address, port))
    return True


def has_ipv6():
    """A machine without it has no such sockets, or not this address."""
    try:
        return can_bind(socket.AF_INET6, socket.SOCK_DGRAM, "::1", 0)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return False


def is_free(port):
    """For TCP and UDP, on both families, or on the one that is here."""
    try:
        return all(can_bind(family, kind, address, port) for family, address in FAMILIES[:1 + has_ipv6()]
                   for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False


def take(port):
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0chainmail-test-port-{port}")
    except OSError:
        name.close()
        return False
    held.append(name)
    return True


def free_ports(count):
    """Ports that nobody has, and that this process alone was given."""
    found = []
    while len(found) < count:
        port = random.choice(PORTS)
        if take(port) and is_free(port):
            found.append(port)
    return found
