"""The module is loaded again, unloaded, or loaded by a server that it cannot work with."""

import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from blocked import Queue
from fixtures import Fresh
from history import digest
from servers import MODULE
from space import Space
from workflows import single

HOST = Path(__file__).with_name("old_server.c")


@pytest.mark.parametrize("way", ["the same file", "a copy"])
def test_loaded_twice(fresh_server: Fresh, tmp_path: Path, way: str) -> None:
    """Refused, and the one that is loaded works on."""
    server = fresh_server("enable-module-command yes")
    jobs = Space(server.client(), "jobs")
    jobs.push(single())
    waiter = Queue(server).join("TYPES", 1, "another")
    before = digest(jobs.client)
    again = str(MODULE if way == "the same file" else shutil.copy(MODULE, tmp_path / "copy.so"))
    for arguments in ([again], [again, "with", "arguments"]):
        with pytest.raises(redis.ResponseError, match="(?i)error loading"):
            jobs.client.execute_command("MODULE", "LOAD", *arguments)
    assert digest(jobs.client) == before
    assert [module[b"name"] for module in jobs.client.module_list()].count(b"workflow") == 1
    jobs.push(single(type="another"))
    assert waiter.names() == ["only"]
    assert jobs.work_off("w") == ["only"]


def test_unloading_is_refused(fresh_server: Fresh) -> None:
    """Also with nothing in the server: the data type may be in files."""
    server = fresh_server("enable-module-command yes")
    client = server.client()
    for push in (False, True):
        if push:
            Space(client, "jobs").push(single())
        with pytest.raises(redis.ResponseError, match="(?i)data type"):
            client.execute_command("MODULE", "UNLOAD", "workflow")
    waiter = Queue(server).join("TYPES", 1, "another")
    with pytest.raises(redis.ResponseError):
        client.execute_command("MODULE", "UNLOAD", "workflow")
    Space(client, "jobs").push(single(type="another"))
    assert waiter.names() == ["only"]


def test_arguments_are_refused_in_one_line(fresh_server: Fresh) -> None:
    server = fresh_server("enable-module-command yes", module=None)
    with pytest.raises(redis.ResponseError, match="(?i)error loading"):
        server.client().execute_command("MODULE", "LOAD", str(MODULE), "max-count", "5")
    lines = [line for line in server.log().splitlines() if "<workflow>" in line]
    assert len(lines) == 1 and "takes no arguments" in lines[0], lines
    server.client().execute_command("MODULE", "LOAD", str(MODULE))
    assert Space(server.client(), "jobs").push(single()) == "1"


def test_an_old_server_is_refused_in_one_line(tmp_path: Path) -> None:
    """A host that knows only what Redis 6 knew."""
    host = tmp_path / "old_server"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", host, HOST, "-ldl"], check=True, timeout=60)
    run = subprocess.run([host, str(MODULE)], capture_output=True, text=True, timeout=30)
    assert run.returncode == 1, "OnLoad said that it cannot work here"
    (line,) = run.stdout.splitlines()
    assert line == "warning: this server is too old: the module needs Redis 7.0, Valkey 8.0 or newer"
