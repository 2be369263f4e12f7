"""Sub-workflow: a task whose work is a workflow of its own, and the parent goes on when that has ended.

The parent has a task that starts the other one from a template, and one that waits for its signal. The
last task of the sub-workflow sends it, whatever came of the rest.
"""

import json

from space import Job, Space

PARENT = {
    "name": "release",
    "tasks": [
        {"name": "start tests", "type": "start"},
        # Waits from the beginning: the signal may come before the task that starts the tests has completed.
        {"name": "tests", "signal": True, "timeout_ms": 3_600_000},
        {"name": "publish", "type": "publish", "parents": ["start tests", "tests"]},
    ],
}
TESTS = {
    "name": "tests",
    "tasks": [
        {"name": "unit", "type": "test"},
        {"name": "system", "type": "test"},
        {"name": "report", "type": "report", "parents": ["unit", "system"]},
        {"name": "alarm", "type": "alarm", "parents": [{"task": "report", "on": "always"}]},
    ],
}


def start(job: Job) -> None:
    # The id is made from the parent's, so that a second attempt starts no second one.
    job.space.call("START", "tests", "ID", f"{job.workflow}/tests", "NX", "INPUT", job.workflow)


def report(job: Job) -> str:
    job.space.call("SIGNAL", job.input.decode(), "tests", "RESULT", json.dumps(sorted(job.results)))
    return "reported"


def alarm(job: Job) -> None:
    if job.results["report"] is None:
        job.space.call("SIGNAL", job.input.decode(), "tests", "FAIL", "the tests did not pass")


def publish(job: Job) -> str:
    return f"published after {', '.join(json.loads(job.results['tests']))}"


def main(space: Space) -> str:
    space.call("DEFINE", "tests", json.dumps(TESTS))
    handlers = {"start": start, "test": lambda job: "ok", "report": report, "alarm": alarm, "publish": publish}
    with space.workers(handlers):
        state, results = space.wait(space.push(PARENT, "ID", "release-1"))
    return f"{state}: {results['publish'].decode()}"
