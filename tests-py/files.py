"""What a server has on disk: the commands in its AOF, and waiting until it has written a file."""

from pathlib import Path


from servers import Server

Command = list[bytes]


def read_commands(data: bytes) -> list[Command]:
    """The commands of an AOF without RDB preamble. Lines of annotation are left out."""
    commands, at = [], 0

    def line() -> bytes:
        nonlocal at
        end = data.index(b"\r\n", at)
        found, at = data[at:end], end + 2
        return found

    while at < len(data):
        head = line()
        if head.startswith(b"#"):
            continue
        assert head.startswith(b"*"), f"no command at byte {at}: {head[:80]!r}"
        command = []
        for _ in range(int(head[1:])):
            length = int(line()[1:])
            command.append(data[at : at + length])
            at += length + 2
        commands.append(command)
    return commands


def aof_files(server: Server, kind: str) -> list[Path]:
    """The AOF files of a kind: `base` or `incr`."""
    return sorted((server.directory / "appendonlydir").glob(f"*.{kind}.*"))


def aof_commands(server: Server, kind: str = "incr") -> list[Command]:
    """All commands in the AOF files of a kind, in order."""
    return [command for path in aof_files(server, kind) for command in read_commands(path.read_bytes())]


def wait_for_rewrite(server: Server) -> None:
    """Waits until no AOF is being written anew, as it is after a full resync too."""
    client = server.client()

    def over() -> bool:
        info = client.info("persistence")
        return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]

    server.wait_until(over, what="the rewrite to end")


def rewrite_aof(server: Server) -> None:
    """BGREWRITEAOF, to its end."""
    client = server.client()
    client.bgrewriteaof()
    wait_for_rewrite(server)
    assert client.info("persistence")["aof_last_bgrewrite_status"] == "ok"
