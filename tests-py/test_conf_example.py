"""redis.conf.example starts every server as it is, but for paths and the port; and it explains itself."""

from collections.abc import Callable
from pathlib import Path

from servers import ROOT, Server
from space import Space
from workflows import single

LINES = (ROOT / "redis.conf.example").read_text().splitlines()
# What depends on the machine: the test's server brings its own.
OF_THE_MACHINE = ("loadmodule ", "dir ", "port ", "bind ")
SETTINGS = [line for line in LINES if line and not line.startswith("#")]


def test_it_starts_a_server_that_keeps_its_work(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server(*(line for line in SETTINGS if not line.startswith(OF_THE_MACHINE)))
    client = server.client()
    for line in SETTINGS:
        name, _, value = line.partition(" ")
        if name.startswith("workflow."):
            assert client.config_get(name) == {name: value}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}

    Space(client, "jobs").push(single(), "ID", "kept")
    server.restart(hard=True)
    assert Space(server.client(), "jobs").state("kept") == "running"


def test_its_defaults_are_the_defaults_of_the_module(server: Server) -> None:
    defaults = server.client().config_get("workflow.*")
    shown = dict(line.split(" ") for line in SETTINGS if line.startswith("workflow."))
    assert shown.keys() == defaults.keys()
    own = {"workflow.grace-ms"}
    assert {name: value for name, value in shown.items() if name not in own} == {
        name: value for name, value in defaults.items() if name not in own
    }


def test_the_module_line_names_the_file_that_is_built() -> None:
    (line,) = [line for line in SETTINGS if line.startswith("loadmodule ")]
    assert Path(line.split()[1]).name == "libredisworkflow.so"


def test_every_line_has_its_reason_above_it() -> None:
    paragraph: list[str] = []
    for line in [*LINES, ""]:
        if line:
            paragraph.append(line)
            continue
        if any(not line.startswith("#") for line in paragraph):
            assert paragraph[0].startswith("# "), f"no reason above: {paragraph}"
        paragraph = []
