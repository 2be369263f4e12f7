"""`make demo PATTERN=saga`: one pattern in a throwaway Redis; without a name, all of them.

    python run.py saga [--url redis://127.0.0.1:6379]
"""

import argparse
import importlib
import sys
from pathlib import Path

from space import Space

PATTERNS = ["chain", "fan", "map_reduce", "branch", "cleanup", "saga", "approval", "subworkflow", "poll"]


def show(name: str, url: str) -> None:
    module = importlib.import_module(name)
    print(f"{name}: {module.__doc__.splitlines()[0]}", flush=True)
    print("".join(f"  {line}\n" for line in module.main(Space(url, f"pattern:{name}")).splitlines()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Watch patterns of workflows.")
    parser.add_argument("patterns", nargs="*", choices=[[], *PATTERNS], metavar="pattern", help=", ".join(PATTERNS))
    parser.add_argument("--url", help="a server with the module; without it, a throwaway one")
    options = parser.parse_args()
    names = options.patterns or PATTERNS
    if options.url:
        for name in names:
            show(name, options.url)
        return 0
    sys.path.append(str(Path(__file__).resolve().parents[1] / "python"))
    from demo import throwaway_server

    with throwaway_server() as url:
        for name in names:
            show(name, url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
