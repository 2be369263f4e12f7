"""Servers under AddressSanitizer, for `make sanitize`: WF_SANITIZER names its runtime, which is preloaded.

Debian's Redis takes its memory from a shared allocator, whose place the runtime's takes, so every block that
the module asks the server for has red zones around it and stays out of use for a while after it was freed.
A server with an allocator of its own inside would notice nothing. Leaks are looked for when a server ends
by SIGTERM, as all do that are not killed by their test.
"""

import os
from pathlib import Path

RUNTIME = os.environ.get("WF_SANITIZER", "")


def environment(directory: Path) -> dict[str, str] | None:
    """What a server whose files are in `directory` is started with; nothing but our own without a sanitizer."""
    if not RUNTIME:
        return None
    preloaded = [RUNTIME, *filter(None, [os.environ.get("LD_PRELOAD")])]
    # The server has no frame pointers to walk its stacks by.
    options = f"log_path={directory}/sanitizer:detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=20"
    return {**os.environ, "LD_PRELOAD": ":".join(preloaded), "ASAN_OPTIONS": options}


def reports(directory: Path) -> str:
    """What was found in the server and in its children, such as those that save."""
    return "\n".join(path.read_text(errors="replace") for path in sorted(directory.glob("sanitizer.*")))
