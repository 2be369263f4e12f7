"""Saga: what was done is undone when a later step fails, the last first.

Each step has a compensation that runs on the failure of the step after it, or after the compensation
of that one. A failure that is compensated does not fail the workflow: that it was undone is a result.
"""

from space import Job, Space

STEPS = ["flight", "hotel", "car"]


def document() -> dict:
    tasks = []
    for place, step in enumerate(STEPS):
        tasks.append({"name": f"book {step}", "type": "book", "payload": step})
        if place:
            tasks[-1]["parents"] = [f"book {STEPS[place - 1]}"]
    # The compensation of a step waits for the failure of the next one, or that it was undone.
    for place, step in enumerate(STEPS[:-1]):
        later = [{"task": f"book {STEPS[place + 1]}", "on": "failure"}]
        tasks.append({"name": f"undo {step}", "type": "undo", "payload": step, "parents": later})
    # When the car fails, the hotel is undone, and then the flight.
    tasks.append({"name": "undo flight too", "type": "undo", "payload": "flight", "parents": ["undo hotel"]})
    return {"name": "journey", "tasks": tasks}


def book(job: Job) -> str:
    step = job.payload.decode()
    if job.input is not None and step == job.input.decode():
        raise RuntimeError(f"no {step} left")
    return f"{step} is booked"


def undo(job: Job) -> str:
    return f"{job.payload.decode()} is cancelled"


def main(space: Space) -> str:
    lines = []
    with space.workers({"book": book, "undo": undo}):
        for fails in ("nothing", "hotel", "car"):
            workflow = space.push(document(), "INPUT", fails)
            state, _ = space.wait(workflow)
            done = [name for name, state in space.states(workflow).items() if state == "completed"]
            lines.append(f"{state}: {fails} fails: {', '.join(done)}")
    return "\n".join(lines)
