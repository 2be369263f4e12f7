"""WF.GRAPH: a workflow as a drawing. Graphviz, where it is installed, says that its drawings are such."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable

import pytest

from history import BINARY, HOUR
from refusals import refused
from servers import Server
from space import Space
from workflows import chain, diamond, single, task, workflow

GRAPHVIZ = shutil.which("dot")

# Names that mean something to one language or the other, or to those who read line by line.
NAMES = [
    "plain", "with space", 'say "hi"', "back\\slash", r"\N and \n", "new\nline", "tab\t", "a]b[c", "a;b", "a->b", "'",
    "<b>bold</b>", "&amp;", "#35;", "#quot;", "`code`", "%%{init}%%", "end", "1. one", "- dash", "**bold**", "//",
    "ä漢字 é", "\x00\x01\x1b", "\x85\u2028\u2029\u202e\ufeff\uffff", "t1", "node", "{x|y}", "$$x$$", "ﬂ°°65¶ß",
    "style:#", "a_b_c", "v1.2-rc",
]  # fmt: skip

STATES = {"waiting", "delayed", "ready", "running", "completed", "failed", "cancelled"}


def graph(space: Space, wid: str | bytes, *language: str) -> str:
    return space.call("GRAPH", wid, *language).decode()


def test_dot(jobs: Space) -> None:
    wid = jobs.push(diamond())
    jobs.complete(jobs.claim_one("w").token)
    jobs.claim_one("w", "LEASE", HOUR)
    drawn = graph(jobs, wid)
    assert drawn == graph(jobs, wid, "DOT") == graph(jobs, wid, "dot")
    assert drawn.splitlines() == [
        'digraph "1" {',
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica"];',
        '  t0 [label="top", fillcolor="#a3cfbb", tooltip="completed"];',
        '  t1 [label="left", fillcolor="#9ec5fe", tooltip="running"];',
        '  t2 [label="right", fillcolor="#ffe69c", tooltip="ready"];',
        '  t3 [label="bottom", fillcolor="#e9ecef", tooltip="waiting"];',
        "  t0 -> t1;",
        "  t0 -> t2;",
        "  t1 -> t3;",
        "  t2 -> t3;",
        "}",
    ]


def test_mermaid(jobs: Space) -> None:
    wid = jobs.push(chain(2))
    assert graph(jobs, wid, "MERMAID").splitlines() == [
        "flowchart LR",
        '  t0["t0"]:::ready',
        '  t1["t1"]:::waiting',
        "  t0 --> t1",
        "  classDef waiting fill:#e9ecef,stroke:#495057,color:#000",
        "  classDef ready fill:#ffe69c,stroke:#495057,color:#000",
    ]


def test_every_state_has_a_colour(jobs: Space) -> None:
    jobs.push(workflow(task("d", delay_ms=HOUR), task("r"), task("w", ["r"]), task("run", priority=0)), "ID", "a")
    jobs.claim_one("w", "LEASE", HOUR)
    jobs.push(workflow(task("c", priority=1), task("f", priority=2), task("x", ["f"])), "ID", "b")
    done, bad = (task.token for task in jobs.claim("w", "COUNT", 2, "LEASE", HOUR))
    jobs.complete(done)
    jobs.fail(bad)
    drawn = graph(jobs, "a") + graph(jobs, "b")
    colours = dict(re.findall(r'fillcolor="(#\w{6})".* tooltip="(\w+)"', drawn))
    assert set(colours.values()) == STATES
    assert len(colours) == len(STATES)
    assert re.search(r'label="x".*style="rounded,filled,dashed", tooltip="cancelled"', drawn)
    for wid in "ab":
        classes = re.findall(r":::(\w+)$", graph(jobs, wid, "MERMAID"), re.MULTILINE)
        defined = re.findall(r"classDef (\w+) ", graph(jobs, wid, "MERMAID"))
        assert set(classes) == set(defined) and len(defined) == len(set(defined))


@pytest.mark.parametrize("language", ["DOT", "MERMAID"])
def test_any_name_is_one_line_and_nothing_but_text(jobs: Space, language: str) -> None:
    wid = BINARY + b'"];\n'
    tasks = [task(name, [NAMES[0]] if place else []) for place, name in enumerate(NAMES)]
    jobs.push({"tasks": tasks}, "ID", wid)
    lines = graph(jobs, wid, language).splitlines()
    nodes = [line for line in lines if re.match(r"  t\d+( \[|\[)", line)]
    edges = [line for line in lines if re.fullmatch(r"  t0 --?> t\d+;?", line)]
    assert (len(nodes), len(edges)) == (len(NAMES), len(NAMES) - 1)
    rest = 4 if language == "DOT" else 3
    assert len(lines) == len(nodes) + len(edges) + rest
    assert all(line.isprintable() for line in lines)
    if language == "MERMAID":
        labels = [line.split('["')[1].rsplit('"]')[0] for line in nodes]
        assert all(re.fullmatch(r"(?:\w|#\d+;|(?<=\w)[ ._-](?=\w))+", label) for label in labels)


def test_unknown_is_null_and_arguments_are_checked(server: Server, resp: int) -> None:
    client = server.client(resp)
    assert client.execute_command("WF.GRAPH", "k", "w") is None
    assert client.exists("k") == 0
    Space(server.client(), "k").push(single())
    assert client.execute_command("WF.GRAPH", "k", "2", "MERMAID") is None
    assert isinstance(client.execute_command("WF.GRAPH", "k", "1"), bytes)
    for bad, named in ((["SVG"], "SVG"), (["DOT", "MERMAID"], "MERMAID"), (["DOT", "DOT"], "DOT")):
        with refused("ERR", named):
            client.execute_command("WF.GRAPH", "k", "1", *bad)


def test_a_replica_draws_the_same(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    wid = jobs.push(diamond())
    jobs.complete(jobs.claim_one("w").token)
    replica.wait_in_sync(primary)
    for language in ("DOT", "MERMAID"):
        assert graph(Space(replica.client(), "jobs"), wid, language) == graph(jobs, wid, language)


@pytest.mark.parametrize("language", [[], ["MERMAID"]])
def test_what_nobody_could_look_at_is_not_drawn(jobs: Space, language: list[str]) -> None:
    jobs.client.config_set("workflow.max-count", 4)
    jobs.push(chain(4), "ID", "drawn")
    assert graph(jobs, "drawn", *language)
    jobs.push(chain(5), "ID", "long")
    with refused("LIMIT", "5 tasks", "4", "max-count"):
        graph(jobs, "long", *language)


def test_a_drawing_has_ten_edges_a_task_at_most(jobs: Space) -> None:
    tasks = [task(f"a{place}") for place in range(11)]
    jobs.push(workflow(*tasks, *(task(f"b{n}", [one["name"] for one in tasks]) for n in range(11))), "ID", "edges")
    jobs.client.config_set("workflow.max-count", 22)
    assert graph(jobs, "edges")
    jobs.push(workflow(*(task(f"a{place}") for place in range(25)), *(task(f"b{n}", [f"a{p}" for p in range(25)]) for n in range(25))), "ID", "more")
    jobs.client.config_set("workflow.max-count", 50)
    with refused("LIMIT", "625 edges", "500"):
        graph(jobs, "more")


@pytest.mark.skipif(GRAPHVIZ is None, reason="Graphviz is not installed")
def test_graphviz_draws_names_as_they_are(jobs: Space) -> None:
    assert GRAPHVIZ is not None
    wid = b'"];\n'
    tasks = [task(name, [NAMES[0]] if place else []) for place, name in enumerate(NAMES)]
    jobs.push({"tasks": tasks}, "ID", wid)
    drawn = subprocess.run([GRAPHVIZ, "-Tjson"], input=graph(jobs, wid), capture_output=True, text=True, check=True)
    objects = json.loads(drawn.stdout)["objects"]
    texts = {object["name"]: "".join(op["text"] for op in object["_ldraw_"] if op["op"] == "T") for object in objects}
    for place, name in enumerate(NAMES):
        if name.isprintable() and "\\" not in name:
            assert texts[f"t{place}"] == name
