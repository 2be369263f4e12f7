"""A wire that a test can cut, choke or let run dry: a TCP proxy in front of one server."""

import socket
import threading

CHUNK = 1 << 14


class Proxy:
    """Forwards connections to `port` of this machine. Everything it starts ends with `close`."""

    def __init__(self, port: int):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._left: int | None = None
        self._silent = threading.Event()
        # At the limit the connection stays, and nothing comes any more.
        self.hold = False
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def limit(self, size: int | None) -> None:
        """Lets so many bytes more through from the server, then cuts the connection. `None`: no limit."""
        self._left = size

    def cut(self) -> None:
        """Cuts all connections."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _shut(end)
        self.cuts += bool(pairs)

    def fall_silent(self) -> None:
        """From now on nothing comes through, and nobody is told: connections are half open."""
        self._silent.set()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._pairs.append((client, server))
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(CHUNK):
                if self._silent.is_set():
                    continue
                if counted and self._left is not None:
                    data = data[: self._left]
                    self._left -= len(data)
                sink.sendall(data)
                if counted and self._left == 0 and not self.hold:
                    self.cuts += 1
                    break
        except OSError:
            pass
        if not self._silent.is_set():
            _shut(source)
            _shut(sink)


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
