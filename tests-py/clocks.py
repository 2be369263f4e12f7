"""Servers whose wall clock a test moves: clock_shim.c, preloaded, reads how far from a file."""

import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock_shim.c")


def build_shim(directory: Path) -> Path:
    """Compiles the library that is preloaded."""
    library = directory / "clock_shim.so"
    command = ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE]
    subprocess.run(command, check=True, timeout=60)
    return library


class Clock:
    """How far the servers' wall clock is off, in milliseconds."""

    def __init__(self, path: Path):
        self._path = path
        self._moved = 0
        path.write_bytes(bytes(8))

    def step(self, by: int) -> None:
        self.set(self._moved + by)

    def set(self, moved: int) -> None:
        self._moved = moved
        with self._path.open("r+b") as file:
            file.write(struct.pack("=q", self._moved))
