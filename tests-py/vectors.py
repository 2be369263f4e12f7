"""Random argument vectors: almost right calls of every command, and what people and programs get wrong.

A vector is a command as bytes, ready to send. `Vectors` draws them from one seed. What is real at
the moment (ids, tokens) is handed in by the test from time to time.
"""

import json
import random

from history import raw
from space import Space
from wire import encode
from workflows import Document, chain, fan, loose, single

COMMANDS = [
    b"WF.PUSH", b"WF.CLAIM", b"WF.COMPLETE", b"WF.FAIL", b"WF.EXTEND", b"WF.PAUSE", b"WF.RELEASE",
    b"WF.RECOVER", b"WF.GET", b"WF.DELETE", b"WF.STATS", b"WF.APPLY", b"WF.RETRY", b"WF.LIST", b"WF.CONFIG",
    b"WF.WORKERS", b"WF.WHY", b"WF.GRAPH", b"WF.DEFINE", b"WF.START", b"WF.UNDEFINE", b"WF.DEFINITIONS", b"WF.WAIT",
    b"WF.SIGNAL", b"WF.ADD",
]  # fmt: skip

KEYS = [b"jobs"] * 6 + [b"more", b"missing", b"string", b"", b"\x00\xff"]

NUMBERS = [
    b"0", b"1", b"2", b"3", b"10", b"100", b"1000", b"10000", b"10001", b"1023", b"1024", b"1025", b"65535", b"65536",
    b"16777215", b"16777216", b"2592000000", b"2592000001", b"3153600000000", b"3153600000001", b"2147483647",
    b"315360000000", b"315360000001", b"1099511627776", b"1099511627777", b"1900000000000",
    b"2147483648", b"4294967295", b"4294967296", b"9223372036854775806", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551615", b"18446744073709551616", b"-1", b"-0", b"-9223372036854775808",
    b"00", b"007", b"+1", b" 1", b"1 ", b"1.5", b"1e3", b"0x10", b"nan", b"inf", b"", b"1\x00", b"9" * 400,
]  # fmt: skip

KEYWORDS = [
    b"ID", b"NX", b"INPUT", b"PRIORITY", b"PAUSED", b"DELAY", b"AT", b"TYPES", b"COUNT", b"BLOCK", b"LEASE",
    b"MAXPRIORITY", b"WITHRESULTS", b"RESULT", b"ERROR", b"RETRY", b"NORETRY", b"TYPE", b"ALL", b"RESUME", b"TASKS",
    b"TIMEOUT", b"RETAIN", b"TASK", b"STATE", b"PREFIX", b"OLDER", b"NEWER", b"CURSOR", b"FAILED", b"SET", b"GET",
    b"default", b"due", b"rerun", b"config", b"retry", b"deadline", b"id", b"CouNt",
    b"PATTERN", b"define", b"undefine", b"start",
    b"wor", b"snapshot", b"push", b"claim", b"pause", b"add",
]  # fmt: skip

TEXTS = [
    b"", b"w", b"work", b"a", b"x", b"order-7", b"\x00", b"a\x00b", b"\xff\xfe", b"\r\n", b"%s%n%d", b"%00", b"=1:",
    "äöü".encode(), b"-", b"--", b"-0-", b"1-0-", b"-0-00000000", b"1-0-0000000g", b"1-00-00000000",
    b"1-4294967295-00000000", b"1-4294967296-ffffffff", b"n" * 511, b"n" * 512, b"n" * 513, b"long" * 20_000,
    b"{}", b"[]", b"null",
]  # fmt: skip

FIELDS = [
    "priority", "lease_ms", "payload", "children", "colour", "Priority", "max_attempts", "max_deliveries", "timeout_ms",
    "delay_ms", "backoff", "signal",
]  # fmt: skip
VALUES = [
    0, 1, -1, 5, 2**24, 2**63, 1.5, "7", "", None, [], {}, True, 315_360_000_000, {"delay_ms": 0}, {"kind": "linear"},
    {"jitter": 0.5, "max_ms": 5, "delay_ms": 3}, {"kind": "fixed", "delay_ms": 2**40, "max_ms": 1}, {"colour": 1},
]  # fmt: skip
SETTINGS = [
    b"default-lease-ms", b"default-max-attempts", b"default-max-deliveries", b"retain-completed-ms",
    b"retain-failed-ms", b"retain-count", b"retain-bytes", b"Retain-Count", b"max-tasks", b"retain-*", b"",
    b"events", b"events-maxlen",
]  # fmt: skip
STATES = [b"running", b"paused", b"completed", b"failed", b"cancelled", b"FAILED", b"ready"]

RETRIED = {"max_attempts": 3, "max_deliveries": 3, "backoff": {"delay_ms": 50, "jitter": 0.5}}
SHAPES = [
    json.dumps(shape)
    for shape in (chain(3, **RETRIED), loose(2, signal=True, timeout_ms=50), fan(4), loose(3, type="x", max_attempts=2), single(timeout_ms=50, **RETRIED))
]

IN_LUA = b"return redis.pcall(unpack(ARGV))"

Argument = bytes


def stock(space: Space, vectors: "Vectors", turn: int) -> None:
    """Something real to work on, and its ids and tokens for the vectors."""
    if turn % 10 == 0:
        space.client.flushall()
    for name in ("jobs", "more"):
        one = Space(space.client, name)
        ids = [b"%d-%d" % (turn, shape) for shape in range(len(SHAPES))]
        for wid, document in zip(ids, SHAPES, strict=True):
            one.call("PUSH", document, "ID", wid, "NX")
        one.define("nightly", SHAPES[turn % len(SHAPES)])
        one.release("ALL")
        vectors.ids = vectors.ids[-20:] + ids
        vectors.tokens = vectors.tokens[-20:] + raw(one.claim("w", "COUNT", 6))
    space.client.set("string", "x")


def wrapped(vector: bytes, way: int) -> bytes:
    """A vector as it is, in a transaction, or in a script."""
    if way == 0:
        return encode("MULTI") + vector + encode("EXEC")
    if way == 1:
        count, rest = vector.split(b"\r\n", 1)
        return b"*%d\r\n" % (int(count[1:]) + 3) + encode("EVAL", IN_LUA, 0).split(b"\r\n", 1)[1] + rest
    return vector


class Vectors:
    """Draws vectors. `ids` and `tokens` are filled by the test."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.ids: list[bytes] = [b"1"]
        self.tokens: list[bytes] = [b"1-0-00000000"]

    def one(self) -> bytes:
        """A command. Those that may block do so for a moment at most, as far as that can be foreseen."""
        draw = self.random
        command = draw.choice(COMMANDS)
        arguments = [draw.choice(KEYS), *self._right(command)]
        for _ in range(draw.choice((0, 0, 1, 1, 2, 4))):
            self._spoil(arguments)
        if b"BLOCK" in arguments[:-1] and draw.random() < 0.9:
            arguments[arguments.index(b"BLOCK") + 1] = b"1"
        return encode(command, *arguments)

    def _right(self, command: bytes) -> list[Argument]:
        draw = self.random
        pick, some = draw.choice, draw.randrange
        match command:
            case b"WF.PUSH":
                out = [self._document(), *self._terms()]
            case b"WF.DEFINE":
                out = [pick(TEXTS), self._document()]
            case b"WF.START":
                out = [pick([*TEXTS, *[b"nightly"] * 40]), *self._terms()]
            case b"WF.UNDEFINE":
                out = [pick(TEXTS) for _ in range(some(1, 3))]
            case b"WF.DEFINITIONS":
                out = pick(([], [b"PATTERN", pick(TEXTS)], [b"PATTERN", b"*"]))
            case b"WF.CLAIM":
                out = [pick(TEXTS)]
                out += pick(([], [b"COUNT", b"3"], [b"COUNT", pick(NUMBERS)]))
                out += pick(([], [b"BLOCK", pick(NUMBERS)], [b"LEASE", pick(NUMBERS)], [b"WITHRESULTS"]))
                out += pick(([], [b"TYPES", b"2", b"work", b"x"], [b"MAXPRIORITY", pick(NUMBERS)]))
            case b"WF.COMPLETE":
                out = [part for _ in range(some(1, 4)) for part in self._acknowledged(b"RESULT")]
                out += pick(([], [], [b"SKIP"], [b"SKIP", b"t1", pick(TEXTS)], [b"SKIP", b"t1"]))
            case b"WF.FAIL":
                out = [
                    part
                    for _ in range(some(1, 4))
                    for part in (
                        *self._acknowledged(b"ERROR"),
                        *pick(([], [], [b"RETRY", pick(NUMBERS)], [b"RETRY", b"0"], [b"NORETRY"])),
                    )
                ]
            case b"WF.EXTEND":
                out = [pick(NUMBERS), *(pick(self.tokens) for _ in range(some(1, 4)))]
            case b"WF.ADD":
                out = [pick(self.tokens), self._added()]
            case b"WF.PAUSE" | b"WF.RELEASE":
                out = pick(([b"ALL"], [b"TYPE", pick(TEXTS), b"work"], [b"ID", pick(self.ids), pick(self.ids)]))
            case b"WF.RECOVER":
                out = [pick(TEXTS), *pick(([], [b"RESUME"], [b"RESUME", b"LEASE", pick(NUMBERS)]))]
            case b"WF.GET":
                out = [pick(self.ids), *pick(([], [b"TASKS"]))]
            case b"WF.WAIT":
                out = [pick(self.ids + TEXTS) for _ in range(some(1, 4))]
                out += pick(([], [b"BLOCK", b"1"], [b"BLOCK", pick(NUMBERS)]))
            case b"WF.DELETE":
                out = [pick(self.ids + TEXTS) for _ in range(some(1, 3))]
            case b"WF.RETRY":
                out = [pick(self.ids), *pick(([], [], [b"TASK", b"t0"], [b"TASK", pick(TEXTS)]))]
            case b"WF.SIGNAL":
                out = [pick(self.ids), pick((b"t0", b"t1", b"only", pick(TEXTS)))]
                out += pick(([], [b"RESULT", pick(TEXTS)], [b"FAIL", pick(TEXTS)]))
            case b"WF.LIST":
                out = pick(([], [b"FAILED"], [b"STATE", pick(STATES)]))
                out += pick(([], [b"CURSOR", pick(NUMBERS)], [b"COUNT", pick(NUMBERS)], [b"PREFIX", pick(TEXTS)]))
                out += pick(([], [b"TYPE", b"work"], [b"OLDER", pick(NUMBERS)], [b"NEWER", pick(NUMBERS)]))
            case b"WF.CONFIG":
                names = [pick(SETTINGS) for _ in range(some(1, 3))]
                values = [pick((pick(NUMBERS), b"default", b"100000", b"{jobs}events")) for _ in names]
                setting = [part for both in zip(names, values, strict=True) for part in both]
                out = pick(([b"GET", pick(SETTINGS)], [b"SET", *setting], [b"SET", *setting]))
            case b"WF.APPLY":
                out = [pick(KEYWORDS), pick(TEXTS), pick(NUMBERS)]
            case _:
                out = []
        return list(out)

    def _terms(self) -> list[Argument]:
        pick = self.random.choice
        out = pick(([], [b"ID", pick(TEXTS)], [b"NX", b"ID", pick(self.ids)], [b"ID", pick(NUMBERS)]))
        out += pick(([], [b"INPUT", pick(TEXTS)], [b"PRIORITY", pick(NUMBERS)], [b"PAUSED"]))
        out += pick(([], [], [b"DELAY", pick(NUMBERS)], [b"AT", pick(NUMBERS)]))
        out += pick(([], [], [b"TIMEOUT", pick(NUMBERS)], [b"RETAIN", pick(NUMBERS)]))
        return list(out)

    def _acknowledged(self, keyword: bytes) -> list[Argument]:
        draw = self.random
        return [draw.choice(self.tokens), *draw.choice(([], [], [keyword, draw.choice(TEXTS)]))]

    def _spoil(self, arguments: list[Argument]) -> None:
        """One thing wrong, anywhere after the command's name."""
        draw = self.random
        place = draw.randrange(len(arguments))
        other = draw.choice((TEXTS, NUMBERS, KEYWORDS, self.ids, self.tokens))
        match draw.randrange(6):
            case 0:
                arguments[place] = draw.choice(other)
            case 1:
                arguments.insert(place + 1, draw.choice(other))
            case 2 if len(arguments) > 1:
                del arguments[place]
            case 3:
                arguments[place] = self._bent(arguments[place])
            case 4:
                arguments.append(arguments[place])
            case _:
                with_other = draw.randrange(len(arguments))
                arguments[place], arguments[with_other] = arguments[with_other], arguments[place]

    def _bent(self, argument: Argument) -> Argument:
        """The same with one byte changed, added or taken away, or cut off."""
        draw = self.random
        if not argument:
            return b"\x00"
        at = draw.randrange(len(argument))
        byte = bytes([draw.randrange(256)])
        return draw.choice(
            (
                argument[:at] + byte + argument[at + 1 :],
                argument[:at] + byte + argument[at:],
                argument[:at] + argument[at + 1 :],
                argument[:at],
            )
        )

    def _document(self) -> bytes:
        draw = self.random
        kind = draw.randrange(12)
        if kind == 0:
            deep = draw.choice((50, 99, 100, 101, 5_000))
            nest = draw.choice(("[", '{"a":'))
            return b'{"tasks":[{"name":"a","type":"t","payload":%b1%b}]}' % (
                nest.encode() * deep,
                (b"]" if nest == "[" else b"}") * draw.choice((deep, deep, deep - 1)),
            )
        if kind == 1:
            return draw.choice((b"[" * 10_000, b'{"tasks":' * 5_000, b'"' + b"\\u0000" * 50 + b'"', b"\xef\xbb\xbf{}"))
        return self._bent_sometimes(json.dumps(self._workflow()).encode())

    def _bent_sometimes(self, document: bytes) -> bytes:
        return self._bent(document) if self.random.random() < 0.3 else document

    def _added(self) -> bytes:
        tasks = self._workflow()["tasks"]
        if self.random.random() < 0.3:
            self.random.choice(tasks)["children"] = ["t2"]
        return self._bent_sometimes(json.dumps(self.random.choice((tasks, {"tasks": tasks}))).encode())

    def _workflow(self) -> Document:
        draw = self.random
        names = [draw.choice("abcdefgh") + str(i) for i in range(draw.choice((1, 1, 2, 3, 8)))]
        tasks = []
        for place, name in enumerate(names):
            fields: Document = {"name": name, "type": draw.choice(["work", "x", "", "\x00", "ä"])}
            if place and draw.random() < 0.7:
                fields["parents"] = draw.sample(names[:place], draw.randint(1, min(3, place)))
            if draw.random() < 0.2:
                fields[draw.choice(FIELDS)] = draw.choice([*VALUES, [names[0]]])
            tasks.append(fields)
        whole: Document = {"tasks": tasks}
        if draw.random() < 0.3:
            whole["name"] = draw.choice(["n", "", "x" * 513, "\x00"])
        if draw.random() < 0.2:
            whole["defaults"] = {draw.choice(FIELDS): draw.choice(VALUES)}
        if draw.random() < 0.1:
            whole["timeout_ms"] = draw.choice(VALUES)
        if draw.random() < 0.1:
            whole["priority"] = draw.choice([0, -1, 2**24 - 1, 2**24, "12", "x", None])
        return whole
