"""Human approval: a task that nobody claims and a person ends, with a way out when nobody answers."""

import time

from space import Job, Space

DOCUMENT = {
    "name": "expenses",
    "tasks": [
        {"name": "submit", "type": "submit"},
        {"name": "approve", "signal": True, "timeout_ms": 60_000, "parents": ["submit"]},
        {"name": "pay", "type": "pay", "parents": ["approve"]},
        {"name": "turn down", "type": "turn down", "parents": [{"task": "approve", "on": "failure"}]},
    ],
}


def pay(job: Job) -> str:
    return f"paid, approved by {job.results['approve'].decode()}"


def press(space: Space, workflow: str, *answer: str) -> None:
    """What a web page does when somebody presses a button. 3: there is nothing to approve yet."""
    while space.call("SIGNAL", workflow, "approve", *answer) == 3:
        time.sleep(0.01)


def main(space: Space) -> str:
    lines = []
    handlers = {"submit": lambda job: None, "pay": pay, "turn down": lambda job: "turned down"}
    with space.workers(handlers):
        for answer in (["RESULT", "Ada"], ["FAIL", "too expensive"], []):
            document = DOCUMENT
            if not answer:  # nobody answers: what takes a minute above takes 50 ms here
                tasks = [task | {"timeout_ms": 50} if "signal" in task else task for task in DOCUMENT["tasks"]]
                document = DOCUMENT | {"tasks": tasks}
            workflow = space.push(document)
            if answer:
                press(space, workflow, *answer)
            state, results = space.wait(workflow)
            said = [result.decode() for result in results.values() if result is not None]
            lines.append(f"{state}: {' '.join(answer) or 'no answer'}: {', '.join(said)}")
    return "\n".join(lines)
