"""A Redis Cluster of real nodes: three primaries, a replica for each, and slots that move."""

import redis
from redis.crc import key_slot

from voice import LOST, Address
from servers import Server, role
from space import Text
from waiting import eventually

SLOTS = 16_384
NODE = ("cluster-enabled yes", "cluster-node-timeout 1500", "cluster-replica-validity-factor 0", "repl-timeout 3600")


def cluster(server: Server, *words: object) -> str:
    """CLUSTER ..., the answer as text."""
    reply = server.client(resp=2).execute_command("CLUSTER", *words)
    return reply.decode() if isinstance(reply, bytes) else str(reply)


class Cluster:
    """Nodes of which the first `primaries` share the slots, and each later one follows one of them."""

    def __init__(self, nodes: list[Server], primaries: int = 3):
        self.nodes = nodes
        self.ids = {cluster(node, "MYID"): node for node in nodes}
        for place, node in enumerate(nodes[:primaries]):
            first, end = place * SLOTS // primaries, (place + 1) * SLOTS // primaries
            cluster(node, "ADDSLOTSRANGE", first, end - 1)
            cluster(node, "SET-CONFIG-EPOCH", place + 1)
        for node in nodes[1:]:
            cluster(nodes[0], "MEET", "127.0.0.1", node.port)
        eventually(lambda: all(self._knows_all(node) for node in nodes), 60, "the nodes to meet", every=0.05)
        for place, node in enumerate(nodes[primaries:]):
            cluster(node, "REPLICATE", cluster(nodes[place % primaries], "MYID"))
        eventually(lambda: all(self._is_well(node) for node in nodes), 60, "the cluster to form", every=0.05)

    def _knows_all(self, node: Server) -> bool:
        return "handshake" not in (known := cluster(node, "NODES")) and known.count("127.0.0.1") == len(self.nodes)

    def _is_well(self, node: Server) -> bool:
        link = node.client().info("replication").get("master_link_status", "up")
        return "cluster_state:ok" in cluster(node, "INFO") and link == "up"

    def alive(self) -> list[Server]:
        return [node for node in self.nodes if node.alive()]

    def owner(self, key: Text) -> Server:
        """The primary of the key's slot, as the first node says that has one for it."""
        port = self.where(key)[1]
        return next(node for node in self.nodes if node.port == port)

    def where(self, key: Text) -> Address:
        slot = key_slot(key.encode() if isinstance(key, str) else key)
        for node in self.alive():
            try:
                found = self._primary_of(slot, cluster(node, "NODES"))
            except (*LOST, redis.ResponseError):
                continue
            if found is not None:
                return "127.0.0.1", found
        raise redis.ConnectionError(f"nobody serves slot {slot}")

    def _primary_of(self, slot: int, nodes: str) -> int | None:
        """The port of a slot's primary in an answer of CLUSTER NODES. It must not have failed."""
        for line in nodes.splitlines():
            _, address, flags, *_, slots = (*line.split()[:8], line.split()[8:])
            if "fail" in flags.split(",") or "master" not in flags:
                continue
            for part in slots:
                first, _, last = part.partition("-")
                if first.isdigit() and int(first) <= slot <= int(last or first):
                    return int(address.split("@")[0].rsplit(":", 1)[1])
        return None

    def replica_of(self, primary: Server) -> Server:
        """A replica of it that is well."""

        def found() -> Server | None:
            for node in self.alive():
                info = node.client().info("replication")
                if info.get("master_port") == primary.port and info.get("master_link_status") == "up":
                    return node
            return None

        return eventually(found, 40, f"a replica of {primary.port}", every=0.05)

    def fail_over(self, old: Server) -> Server:
        """CLUSTER FAILOVER, to its end. One that finds no votes is given up after five seconds: asked again."""
        new = self.replica_of(old)
        for _ in range(5):
            cluster(new, "FAILOVER")
            try:
                eventually(lambda: (role(new), role(old)) == ("master", "slave"), 8, "the roles", every=0.05)
                return new
            except AssertionError:
                continue
        raise AssertionError(f"{new.port} did not take over from {old.port}:\n{new.log_tail()}")

    def primaries(self) -> list[Server]:
        return [node for node in self.alive() if role(node) == "master" and self._slots_of(node)]

    def _slots_of(self, node: Server) -> bool:
        mine = next(line for line in cluster(node, "NODES").splitlines() if "myself" in line)
        return len(mine.split()) > 8

    def move(self, key: Text, to: Server) -> None:
        """Moves the key's slot as redis-cli does: mark it, migrate what is in it, tell everybody."""
        source, slot = self.owner(key), key_slot(key.encode() if isinstance(key, str) else key)
        assert source is not to
        old, new = cluster(source, "MYID"), cluster(to, "MYID")
        cluster(to, "SETSLOT", slot, "IMPORTING", old)
        cluster(source, "SETSLOT", slot, "MIGRATING", new)
        self.migrate(source, to, slot)
        for node in (to, source, *self.primaries()):
            cluster(node, "SETSLOT", slot, "NODE", new)
        self.wait_until_moved(key, to)

    def moves_whole(self) -> bool:
        """Whether the server can move a slot as a stream of commands, which changes hands in one moment."""
        help_lines = " ".join(map(str, self.nodes[0].client().execute_command("CLUSTER", "HELP")))
        return "MIGRATESLOTS" in help_lines or "MIGRATION" in help_lines

    def begin_to_move_whole(self, key: Text, to: Server) -> None:
        """CLUSTER MIGRATESLOTS, as Valkey has it, or CLUSTER MIGRATION IMPORT, as Redis has it."""
        source, slot = self.owner(key), key_slot(key.encode() if isinstance(key, str) else key)
        assert source is not to
        if source.flavour.startswith("valkey"):
            assert cluster(source, "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", cluster(to, "MYID")) == "OK"
        else:
            cluster(to, "MIGRATION", "IMPORT", slot, slot)

    def call_off_moves(self, source: Server, to: Server) -> None:
        """Slots that are on their way as a whole stay where they are."""
        if source.flavour.startswith("valkey"):
            cluster(source, "CANCELSLOTMIGRATIONS")
        else:
            cluster(to, "MIGRATION", "CANCEL", "ALL")

    def wait_until_moved(self, key: Text, to: Server) -> None:
        eventually(lambda: self.where(key)[1] == to.port, 20, "all to know where the slot is", every=0.02)

    def move_whole(self, key: Text, to: Server) -> None:
        """Moves the key's slot as a whole. One that fails, because its link does, begins anew."""
        for _ in range(5):
            self.begin_to_move_whole(key, to)
            try:
                return self.wait_until_moved(key, to)
            except AssertionError:
                continue
        raise AssertionError(f"the slot of {key!r} did not move:\n{to.log_tail()}")

    def migrate(self, source: Server, to: Server, slot: int) -> None:
        """Moves all keys of a slot that is marked."""
        control = source.client(resp=2)
        while keys := control.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            control.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
