"""Fan-out and fan-in: independent tasks side by side, and one that waits for all of them."""

from space import Job, Space

REGIONS = ["africa", "america", "asia", "europe"]
DOCUMENT = {
    "name": "report",
    "tasks": [
        {"name": "open", "type": "open"},
        *({"name": region, "type": "sum", "parents": ["open"]} for region in REGIONS),
        {"name": "total", "type": "total", "parents": REGIONS},
    ],
}


def total(job: Job) -> int:
    return sum(int(result) for result in job.results.values())


def main(space: Space) -> str:
    handlers = {"open": lambda job: None, "sum": lambda job: len(job.name), "total": total}
    with space.workers(handlers):
        state, results = space.wait(space.push(DOCUMENT))
    return f"{state}: {results['total'].decode()} letters in {len(REGIONS)} regions"
