"""Ports for servers that come back to the same one."""
import random
import socket

FIRST, LAST = 10_000, 30_000  # Below what Linux gives to outgoing connections (net.ipv4.ip_local_port_range).


def free(count):
    """So many different ports on which nobody listens."""
    found = []
    while len(found) < count:
        port = random.randrange(FIRST, LAST)
        with socket.socket() as door:
            try:
                door.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
