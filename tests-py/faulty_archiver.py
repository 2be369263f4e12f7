"""archive.py that dies where it is told to: `--die committed:3`, the third time it has committed."""

import os
import signal
import sys

from servers import ROOT

sys.path.insert(0, str(ROOT / "client-examples/archive"))

import archive  # noqa: E402


class Mortal(archive.Archiver):
    point, times = "", 0

    def reached(self, point: str) -> None:
        if point == self.point:
            Mortal.times -= 1
            if Mortal.times == 0:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    parser = archive.arguments()
    parser.add_argument("--die", default=":0")
    options = parser.parse_args()
    point, _, times = options.die.partition(":")
    Mortal.point, Mortal.times = point, int(times)
    sys.exit(archive.main(Mortal, options))
