"""Cleanup: what must happen however the work ended, also when it fails or is called off."""

from space import Job, Space

DOCUMENT = {
    "name": "render",
    "tasks": [
        {"name": "rent", "type": "rent"},
        {"name": "render", "type": "render", "parents": ["rent"]},
        {"name": "publish", "type": "publish", "parents": ["render"]},
        {
            "name": "give back",
            "type": "give back",
            "parents": ["rent", {"task": "publish", "on": "always"}],
            "max_attempts": 5,
            "backoff": {"delay_ms": 20},
        },
    ],
}


def render(job: Job) -> None:
    raise RuntimeError("out of memory")


def give_back(job: Job) -> str:
    if job.attempt == 1:
        raise ConnectionError("the landlord is out")  # cleaning up is tried again like any task
    return "machine given back"


def main(space: Space) -> str:
    handlers = {"rent": lambda job: "machine 7", "render": render, "give back": give_back}
    with space.workers(handlers):
        state, results = space.wait(space.push(DOCUMENT))
    return f"{state}: {results['give back'].decode()}"
