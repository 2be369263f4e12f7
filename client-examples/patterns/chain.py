"""Chain: one after the other, each with the result of the one before."""

from space import Job, Space

DOCUMENT = {
    "name": "etl",
    "tasks": [
        {"name": "extract", "type": "extract", "payload": "3 5 7"},
        {"name": "transform", "type": "transform", "parents": ["extract"]},
        {"name": "load", "type": "load", "parents": ["transform"]},
    ],
}


def extract(job: Job) -> str:
    return job.payload.decode()


def transform(job: Job) -> str:
    return " ".join(str(int(word) ** 2) for word in job.results["extract"].split())


def load(job: Job) -> str:
    return f"loaded {job.results['transform'].decode()}"


def main(space: Space) -> str:
    with space.workers({"extract": extract, "transform": transform, "load": load}):
        state, results = space.wait(space.push(DOCUMENT))
    return f"{state}: {results['load'].decode()}"
