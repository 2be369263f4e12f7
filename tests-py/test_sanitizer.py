"""`make sanitize` sees what it is there to see: each mistake of a module that is made of them."""

import subprocess
from pathlib import Path

import pytest
import redis

import sanitizer
from servers import MODULE, Server

SOURCE = Path(__file__).with_name("planted.c")

pytestmark = pytest.mark.skipif(not sanitizer.RUNTIME, reason="make sanitize")


@pytest.fixture
def faulty(flavour: str, tmp_path: Path) -> Server:
    library = tmp_path / "planted.so"
    command = ["gcc", "-g", "-O1", "-Wall", "-Werror", "-fsanitize=address", "-shared", "-fPIC", "-o", library, SOURCE]
    subprocess.run(command, check=True, timeout=60)
    return Server(flavour, f"loadmodule {library}").start()


@pytest.mark.parametrize("mistake", ["overflow", "use-after-free"])
def test_a_mistake_in_memory_of_the_server_ends_it(faulty: Server, mistake: str) -> None:
    words = {"overflow": "heap-buffer-overflow", "use-after-free": "heap-use-after-free"}[mistake]
    with pytest.raises(redis.ConnectionError):
        faulty.client().execute_command(f"planted.{mistake}")
    with pytest.raises(AssertionError, match=f"(?s){words}.*planted.c"):
        faulty.check()
    with pytest.raises(AssertionError, match=words):
        faulty.discard()


def test_a_leak_is_told_when_the_server_ends(faulty: Server) -> None:
    assert faulty.client().execute_command("planted.leak") == 1
    faulty.check()
    with pytest.raises(AssertionError, match="(?s)48 byte.*planted.c"):
        faulty.discard()


def test_the_module_is_built_for_it() -> None:
    assert b"__asan_report_load" in MODULE.read_bytes()
