"""Periodic poll: ask again and again until something outside is ready, with a limit.

Between two questions no worker and no connection is held: the server puts the task off.
"""

from space import Again, Job, Space

DOCUMENT = {
    "name": "batch",
    "timeout_ms": 3_600_000,
    "tasks": [
        {"name": "submit", "type": "submit"},
        {"name": "poll", "type": "poll", "parents": ["submit"], "max_attempts": 1_000},
        {"name": "fetch", "type": "fetch", "parents": ["poll"]},
    ],
}


def poll(job: Job) -> str:
    if job.attempt < 4:  # the system outside is asked here
        raise Again("not ready", in_ms=20)
    return f"ready when asked for the {job.attempt}th time"


def main(space: Space) -> str:
    handlers = {"submit": lambda job: None, "poll": poll, "fetch": lambda job: job.results["poll"]}
    with space.workers(handlers):
        state, results = space.wait(space.push(DOCUMENT))
    return f"{state}: {results['fetch'].decode()}"
