"""Map and reduce over a list whose length nobody knows when the workflow is pushed.

The task that finds the list adds a task for each item (WF.ADD), and makes the reduction wait for them.
"""

from space import Job, Space

ITEMS = 1_000
DOCUMENT = {
    "name": "word count",
    "tasks": [
        {"name": "list", "type": "list", "payload": str(ITEMS)},
        {"name": "reduce", "type": "reduce", "parents": ["list"]},
    ],
}


def find(job: Job) -> None:
    items = range(int(job.payload))
    job.add(
        [
            {"name": f"map-{item}", "type": "map", "payload": item, "parents": [job.name], "children": ["reduce"]}
            for item in items
        ]
    )


def square(job: Job) -> int:
    return int(job.payload) ** 2


def reduce(job: Job) -> int:
    return sum(int(result) for name, result in job.results.items() if name.startswith("map-"))


def main(space: Space) -> str:
    with space.workers({"list": find, "map": square, "reduce": reduce}):
        state, results = space.wait(space.push(DOCUMENT))
    return f"{state}: the squares of {ITEMS} numbers are {results['reduce'].decode()} together"
