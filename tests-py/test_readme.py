"""The README's transcripts are what a server really answers.

Blocks marked ``redis`` are sessions: lines that begin with ``> `` are commands, the lines under one
are what redis-cli prints. What differs from run to run is compared by its form: the random part of a
token and points in time. A token that the README shows stands for the one the server gave.

``UPDATE_README=1`` writes the real answers into the README.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"```redis\n(.*?)```", re.S)
TOKEN = re.compile(r"\b(\d+-\d+)-[0-9a-f]{8}\b")
TIME = re.compile(r"\b1[0-9]{12}\b")


def plain(answer: str) -> str:
    """An answer with what differs from run to run blanked out."""
    return TIME.sub("<time>", TOKEN.sub(r"\1-<nonce>", answer)).strip()


def ask(port: int, command: str) -> str:
    """What redis-cli prints for one command line."""
    cli = ["redis-cli", "-p", str(port), "--no-raw"]
    done = subprocess.run(cli, input=command + "\n", capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.rstrip("\n")


class Session:
    """One session through all blocks: newest token of each task by its place."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.tokens: dict[str, str] = {}

    def run(self, command: str) -> tuple[str, str]:
        """The command with the tokens of this session, and its answer."""
        command = TOKEN.sub(lambda found: self.tokens.get(found[1], found[0]), command)
        answer = ask(self.port, command)
        self.tokens.update({found[1]: found[0] for found in TOKEN.finditer(answer)})
        return command, answer


def replay(block: str, session: Session) -> list[tuple[str, str, str]]:
    """Each command of a block as it was sent, with the answer the block shows and the one it got."""
    steps: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("> "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    played = [("\n".join(shown), *session.run(command)) for command, shown in steps]
    return [(command, shown, answered) for shown, command, answered in played]


def test_the_sessions_are_what_the_server_answers(fresh_server):
    text = README.read_text()
    session = Session(fresh_server().port)
    blocks = BLOCK.findall(text)
    assert len(blocks) >= 5
    played = [replay(block, session) for block in blocks]
    if os.environ.get("UPDATE_README"):
        fresh = iter(played)
        README.write_text(BLOCK.sub(lambda _: written(next(fresh)), text))
        return
    for step in played:
        for command, shown, answered in step:
            assert plain(shown) == plain(answered), command


def written(steps: list[tuple[str, str, str]]) -> str:
    """A block with the answers that came."""
    return "```redis\n" + "".join(f"> {command}\n{answer}\n" for command, _, answer in steps) + "```"
