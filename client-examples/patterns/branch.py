"""Branch: a task looks, and decides which way the workflow goes.

Every way is in the document. The worker names the children that are not to run (WF.COMPLETE ... SKIP);
what lies behind them is skipped as well, and the ways meet in a task that runs `always`.
"""

from space import Job, Space

DOCUMENT = {
    "name": "order",
    "tasks": [
        {"name": "check", "type": "check"},
        {"name": "ship", "type": "do", "parents": ["check"]},
        {"name": "bill", "type": "do", "parents": ["ship"]},
        {"name": "back-order", "type": "do", "parents": ["check"]},
        {
            "name": "tell",
            "type": "do",
            "parents": [{"task": "bill", "on": "always"}, {"task": "back-order", "on": "always"}],
        },
    ],
}


def check(job: Job) -> None:
    in_stock = job.input == b"book"
    job.skip("back-order" if in_stock else "ship")


def main(space: Space) -> str:
    lines = []
    with space.workers({"check": check, "do": lambda job: None}):
        for article in ("book", "unicorn"):
            workflow = space.push(DOCUMENT, "INPUT", article)
            state, _ = space.wait(workflow)
            taken = [name for name, state in space.states(workflow).items() if state == "completed"]
            lines.append(f"{state}: {article}: {', '.join(taken)}")
    return "\n".join(lines)
