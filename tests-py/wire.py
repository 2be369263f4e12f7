"""Commands as bytes: for tests that look at replies as they are sent, or send a great many."""

import select
import socket
from collections.abc import Callable, Iterable

from servers import Server

Arg = bytes | str | int


def encode(*arguments: Arg) -> bytes:
    """One command in the protocol of clients."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        body = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(body), body))
    return b"".join(parts)


class Wire:
    """A connection that hands out what comes as it comes."""

    def __init__(self, server: Server, resp: int = 2):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self._markers = 0
        if resp == 3:
            self.ask(encode("HELLO", 3))

    def close(self) -> None:
        self.socket.close()

    def send(self, commands: bytes) -> None:
        self.socket.sendall(commands)

    def ask(self, commands: bytes, stuck: Callable[[], None] | None = None) -> bytes:
        """Sends commands and returns all that is answered to them, errors too.

        `stuck` is called again and again while nothing comes.
        """
        self._markers += 1
        marker = b"marker-%d" % self._markers
        end = b"$%d\r\n%b\r\n" % (len(marker), marker)
        out = memoryview(commands + encode("ECHO", marker))
        answer = bytearray()
        patience = 20 if stuck else 60_000
        poll = select.poll()
        while not answer.endswith(end):
            poll.register(self.socket, select.POLLIN | select.POLLOUT if out else select.POLLIN)
            ready = dict(poll.poll(patience)).get(self.socket.fileno())
            if ready is None:
                if stuck is None:
                    raise TimeoutError(f"nothing came after {bytes(answer[-200:])!r}")
                stuck()
                continue
            if ready & select.POLLOUT:
                out = out[self.socket.send(out[: 1 << 16]) :]
            if not ready & ~select.POLLOUT:
                continue
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise ConnectionError(f"the server hung up after {bytes(answer[-200:])!r}")
            answer += piece
        return bytes(answer[: -len(end)])


def commands(*lines: Iterable[Arg]) -> bytes:
    return b"".join(encode(*line) for line in lines)
