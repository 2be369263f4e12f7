"""DUMP payloads: a body, two bytes of RDB version, and a CRC-64 (Jones) over both.

The CRC is linear, so the CRC of a payload with one byte changed follows from the old one by an
exclusive or with a number that depends on the change and on how far from the end it is. That makes
a hundred thousand damaged payloads with a right CRC a matter of a second.
"""

import random
from collections.abc import Callable, Iterator

POLYNOMIAL = 0x95AC9329AC4BC9B5
FOOTER = 10


def _table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


TABLE = _table()


def crc64(data: bytes, crc: int = 0) -> int:
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc


class Dump:
    """A payload as DUMP gave it, which must be right."""

    def __init__(self, payload: bytes):
        self.body, self.version = payload[:-FOOTER], payload[-FOOTER:-8]
        self._crc = int.from_bytes(payload[-8:], "little")
        assert crc64(payload[:-8]) == self._crc, "the CRC of the server and of this file differ"
        # What a change of bit b of the byte at `place` does to the CRC.
        self._bits: list[list[int]] = [[]] * len(self.body)
        shifted = [TABLE[1 << bit] for bit in range(8)]
        for _ in self.version:
            shifted = [TABLE[crc & 0xFF] ^ crc >> 8 for crc in shifted]
        for place in reversed(range(len(self.body))):
            self._bits[place] = shifted
            shifted = [TABLE[crc & 0xFF] ^ crc >> 8 for crc in shifted]

    def with_body(self, body: bytes) -> bytes:
        """Another body with its right footer."""
        signed = body + self.version
        return signed + crc64(signed).to_bytes(8, "little")

    def truncated(self) -> list[bytes]:
        """Every beginning of the body, with a right footer."""
        out, crc = [], 0
        for length in range(len(self.body)):
            end = crc64(self.version, crc).to_bytes(8, "little")
            out.append(self.body[:length] + self.version + end)
            crc = TABLE[(crc ^ self.body[length]) & 0xFF] ^ crc >> 8
        return out

    def changed(self, place: int, value: int) -> bytes:
        """The payload with another byte at `place`, with a right footer."""
        crc, difference = self._crc, self.body[place] ^ value
        for bit in range(8):
            if difference >> bit & 1:
                crc ^= self._bits[place][bit]
        body = bytearray(self.body)
        body[place] = value
        return bytes(body) + self.version + crc.to_bytes(8, "little")

    def every_byte_changed(self, values: Callable[[int], set[int]]) -> Iterator[bytes]:
        """Each byte in turn as each of the values that `values` gives for it, but its own."""
        for place, byte in enumerate(self.body):
            for value in values(byte) - {byte}:
                yield self.changed(place, value)

    def damaged(self, draw: random.Random, count: int) -> Iterator[bytes]:
        """`count` bodies with bytes changed, inserted, removed and copied elsewhere, with right footers."""
        for _ in range(count):
            body = bytearray(self.body)
            for _ in range(draw.randint(1, 3)):
                at = draw.randrange(9, len(body))
                match draw.randrange(4):
                    case 0:
                        body[at] = draw.randrange(256)
                    case 1:
                        body[at:at] = bytes(draw.choices((0, 1, 0x7F, 0x80, 0xFF), k=draw.randint(1, 9)))
                    case 2:
                        del body[at : at + draw.randint(1, 4)]
                    case _:
                        other = draw.randrange(9, len(body))
                        body[at : at + 8] = body[other : other + 8]
            yield self.with_body(bytes(body))
