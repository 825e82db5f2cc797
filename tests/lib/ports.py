"""Ports for servers that come back to the same one."""
import os
import random
import socket

# Below what Linux gives to outgoing connections (net.ipv4.ip_local_port_range). Tests that run at one time have parts of
# it, or one could take the port of another's server while that is down.
FIRST, LAST = map(int, os.environ.get("HY_PORTS", "10000-30000").split("-"))


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
