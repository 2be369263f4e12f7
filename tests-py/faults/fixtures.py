"""What the fixtures of this folder are, for annotations."""

from collections.abc import Callable

from crowd import Crowd
from servers import Server

Fresh = Callable[..., Server]
MakeCrowd = Callable[..., Crowd]
Rounds = Callable[[int], int]
Count = Callable[..., None]
