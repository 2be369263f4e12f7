"""A primary, its replicas, and the sentinels that watch them."""

import redis

from voice import LOST, Address
from servers import Server, role
from waiting import eventually

NAME = "spaces"
DOWN_MS = 400


class Sentinel(Server):
    """One sentinel: the same binary, another mode."""

    OPTIONS = ("--sentinel",)

    def __init__(self, flavour: str, primary: Server, quorum: int):
        super().__init__(flavour)
        self._config = [
            "bind 127.0.0.1",
            f"sentinel monitor {NAME} 127.0.0.1 {primary.port} {quorum}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_MS}",
            f"sentinel failover-timeout {NAME} 5000",
        ]

    def ask(self, *words: str) -> object:
        return self.client(resp=2, socket_timeout=2).execute_command("SENTINEL", *words)


class Watched:
    """All of it. The servers are the caller's, the sentinels are ended by `close`."""

    def __init__(self, servers: list[Server], sentinels: int = 3):
        self.servers = servers
        self.sentinels: list[Sentinel] = []
        for _ in range(sentinels):
            sentinel = Sentinel(servers[0].flavour, servers[0], sentinels // 2 + 1)
            self.sentinels.append(sentinel)
            sentinel.start()
        eventually(self._settled, 30, "the sentinels to know each other and all servers", every=0.1)

    def _settled(self) -> bool:
        for sentinel in self.sentinels:
            known = sentinel.client().info("sentinel")["master0"]
            if known["slaves"] < len(self.servers) - 1 or known["sentinels"] < len(self.sentinels):
                return False
        return True

    def where(self) -> Address:
        """What the sentinels say; a client asks them whenever it connects."""
        for sentinel in self.sentinels:
            try:
                with redis.Redis(port=sentinel.port, socket_timeout=2) as client:
                    host, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
                    return host.decode(), int(port)
            except LOST:
                continue
        raise redis.ConnectionError("no sentinel answers")

    def primary(self) -> Server:
        port = self.where()[1]
        return next(server for server in self.servers if server.port == port)

    def wait_for_another(self, old: Server) -> Server:
        """The new primary, once the sentinels have agreed on it and it says so itself."""

        def chosen() -> Server | None:
            new = self.primary()
            return new if new is not old and role(new) == "master" else None

        # A sentinel that a busy machine held up for two seconds does nothing for half a minute.
        return eventually(chosen, 100, "another primary", every=0.05)

    def fail_over(self) -> Server:
        """As an operator: SENTINEL FAILOVER, to its end."""
        old = self.primary()

        def accepted() -> bool:
            try:
                return bool(self.sentinels[0].ask("FAILOVER", NAME))
            except redis.ResponseError:
                return False

        eventually(accepted, 30, "SENTINEL FAILOVER to be accepted", every=0.1)
        return self.wait_for_another(old)

    def close(self) -> None:
        for sentinel in self.sentinels:
            sentinel.discard()
