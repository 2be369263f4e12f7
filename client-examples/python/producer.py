"""Pushes a workflow from a JSON file and, with --wait, waits for its end.

    python producer.py --key jobs --id nightly-2024-05-01 workflow.json --wait

A push that is repeated after a lost reply must not run the workflow twice. So give every workflow
an id of your own that says what it is, and push with NX: a second push then changes nothing.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

POLL_SECONDS = 0.25


def connect(url: str) -> redis.Redis:
    """A client that repeats what failed on the network: every call below may be repeated."""
    return redis.Redis.from_url(
        url, protocol=3, retry=Retry(ExponentialBackoff(cap=2, base=0.05), 5), health_check_interval=30
    )


def push(client: redis.Redis, key: str, workflow_id: str, document: str, given: str | None = None) -> bool:
    """Pushes `document` under `workflow_id`; false if it had been pushed before."""
    options = ["INPUT", given] if given is not None else []
    return client.execute_command("WF.PUSH", key, document, "ID", workflow_id, "NX", *options) is not None


def progress(client: redis.Redis, key: str, workflow_id: str) -> dict[bytes, Any]:
    """What WF.GET says of the workflow."""
    found = client.execute_command("WF.GET", key, workflow_id)
    if found is None:
        raise LookupError(f"no workflow {workflow_id} in {key}")
    return found


def wait(client: redis.Redis, key: str, workflow_id: str) -> str:
    """Waits until nothing of the workflow is left to do or running; its final state."""
    while True:
        found = progress(client, key, workflow_id)
        if found[b"finished"] is not None:
            return found[b"state"].decode()
        time.sleep(POLL_SECONDS)


def main() -> int:
    parser = argparse.ArgumentParser(description="Push a workflow.")
    parser.add_argument("file", type=Path, help="the workflow document, JSON")
    parser.add_argument("--url", default="redis://127.0.0.1:6379")
    parser.add_argument("--key", default="jobs")
    parser.add_argument("--id", help="the workflow's id; without it, the document's name")
    parser.add_argument("--input", help="a value that every task of the workflow is given")
    parser.add_argument("--wait", action="store_true", help="wait for the end; exit 1 unless it completed")
    options = parser.parse_args()

    document = options.file.read_text()
    workflow_id = options.id or json.loads(document)["name"]
    client = connect(options.url)
    fresh = push(client, options.key, workflow_id, document, options.input)
    print(f"{workflow_id} {'pushed' if fresh else 'was there already'}", flush=True)
    if not options.wait:
        return 0
    state = wait(client, options.key, workflow_id)
    print(f"{workflow_id} {state}", flush=True)
    return 0 if state == "completed" else 1


if __name__ == "__main__":
    sys.exit(main())
