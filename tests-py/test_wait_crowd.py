"""5,000 clients in WF.WAIT: each is answered once, however they come and go, and costs nobody else."""

import contextlib
import random
import re
import select
import socket
import statistics
from collections.abc import Callable, Iterator

import pytest

from servers import Server
from space import Space
from waiting import eventually
from wire import encode

CROWD = 5_000
TURNS = 150
# What one client that is answered may add to the end of its workflow, in microseconds, however many wait.
LONGEST = 60

ANSWER = re.compile(rb"\*1\r\n\*10\r\n\$2\r\nid\r\n\$\d+\r\n(w\d+)\r\n\$5\r\nstate\r\n\$9\r\ncompleted\r\n")


class Crowd:
    """Sockets that wait, each for the workflow of its number, or all for one."""

    def __init__(self, server: Server, workflows: list[str]):
        self._server = server
        self._control = server.client()
        self.clients: list[socket.socket] = []
        for workflow in workflows:
            client = socket.create_connection(("127.0.0.1", server.port))
            client.settimeout(30)
            client.sendall(encode("WF.WAIT", "jobs", workflow, "BLOCK", 0))
            self.clients.append(client)
        self.wait_until_blocked(len(workflows))

    def blocked(self) -> int:
        return int(self._control.info("workflow")["workflow_awaiting_clients"])

    def wait_until_blocked(self, count: int) -> None:
        eventually(lambda: self.blocked() == count, 60, f"{count} clients to wait")

    def answered(self) -> set[int]:
        """The places of those who were told something."""
        poll = select.poll()
        places = {client.fileno(): place for place, client in enumerate(self.clients) if client.fileno() >= 0}
        for fileno in places:
            poll.register(fileno, select.POLLIN)
        return {places[fileno] for fileno, _ in poll.poll(0)}

    def read(self, place: int) -> str:
        """Which completed workflow a client was told of."""
        answer = self.clients[place].recv(4096)
        found = ANSWER.match(answer)
        assert found, answer
        return found[1].decode()

    def close(self) -> None:
        for client in self.clients:
            client.close()


@contextlib.contextmanager
def crowd(server: Server, workflows: list[str]) -> Iterator[Crowd]:
    made = Crowd(server, workflows)
    try:
        yield made
    finally:
        made.close()


def started(server: Server, count: int) -> tuple[Space, dict[str, str]]:
    """Workflows w0, w1, ... of one running task each, and its tokens."""
    space = Space(server.client(), "jobs")
    with space.client.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.execute_command("WF.PUSH", "jobs", '{"tasks":[{"name":"t"}]}', "ID", f"w{number}")
        pipeline.execute()
    tokens = {one.workflow: one.token for one in space.claim("w", "COUNT", 10_000, "LEASE", 3_600_000)}
    assert len(tokens) == count
    return space, tokens


@pytest.mark.timeout(180)
def test_the_end_of_one_answers_one_and_costs_the_same(fresh_server: Callable[..., Server]) -> None:
    alone, crowded = fresh_server(), fresh_server("maxclients 15000")
    spaces = {server: started(server, CROWD) for server in (alone, crowded)}
    stats = {server: server.client() for server in spaces}

    def spent(server: Server) -> int:
        return stats[server].info("commandstats").get("cmdstat_WF.COMPLETE", {"usec": 0})["usec"]

    names = [f"w{number}" for number in range(CROWD)]
    drawn = random.Random(7).sample(range(CROWD), TURNS)
    costs: dict[Server, list[int]] = {alone: [], crowded: []}
    for server, waited_for in ((alone, None), (crowded, names)):
        space, tokens = spaces[server]
        with crowd(server, waited_for or [names[place] for place in drawn[:1]]) as waiting:
            for place in drawn:
                before = spent(server)
                space.complete(tokens[names[place]])
                costs[server].append(spent(server) - before)
                if waited_for:
                    assert waiting.read(place) == names[place]
            assert waiting.answered() == set() if waited_for else waiting.read(0) == names[drawn[0]]
    with_one, with_many = (statistics.median(costs[server]) for server in (alone, crowded))
    print(f"median of an end: {with_one} us with nobody waiting for it, {with_many} us with {CROWD} clients")
    assert with_many <= LONGEST + with_one


@pytest.mark.timeout(180)
def test_all_who_wait_for_the_same_are_answered_and_others_come_between(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("maxclients 15000")
    space, tokens = started(server, 2)
    with crowd(server, ["w0"] * CROWD) as same:
        space.complete(tokens["w0"])
        after_one_turn = same.blocked()
        assert after_one_turn > 0, "one turn of the event loop does not answer all"
        same.wait_until_blocked(0)
        assert {same.read(place) for place in range(CROWD)} == {"w0"}
    assert server.client().info("workflow")["workflow_awaiting_clients"] == 0


@pytest.mark.timeout(180)
def test_clients_that_come_and_go_at_random(fresh_server: Callable[..., Server]) -> None:
    """Some are killed, some hang up, some are unblocked; the others are told of their workflow, once."""
    draw = random.Random(11)
    server = fresh_server("maxclients 15000")
    admin = server.client()
    space, tokens = started(server, CROWD)
    with crowd(server, [f"w{number}" for number in range(CROWD)]) as all_wait:
        left = dict.fromkeys(range(CROWD))
        for place in draw.sample(range(CROWD), CROWD // 2):
            match draw.randrange(3):
                case 0:
                    all_wait.clients[place].close()
                case 1:
                    host, port = all_wait.clients[place].getsockname()
                    admin.execute_command("CLIENT", "KILL", "ADDR", f"{host}:{port}")
                case _:
                    space.complete(tokens.pop(f"w{place}"))
                    assert all_wait.read(place) == f"w{place}"
            del left[place]
        all_wait.wait_until_blocked(len(left))
        order = list(tokens.items())
        draw.shuffle(order)
        for wid, token in order[: len(order) // 2]:
            space.complete(token)
            if int(wid[1:]) in left:
                assert all_wait.read(int(wid[1:])) == wid
                del left[int(wid[1:])]
        admin.delete("jobs")
        for place in left:
            assert all_wait.clients[place].recv(64) in (b"*1\r\n$-1\r\n", b"*1\r\n_\r\n")
        assert all_wait.blocked() == 0
