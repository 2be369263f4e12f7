"""The shape of the source: which layer may know which, how long a file may be, what may not be left in."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import ROOT

SRC = ROOT / "src"
LINES = 500

# What the files of a folder may not name: a layer knows only those below it. `sim` is for tests.
FORBIDDEN = {
    "engine": ("encoding", "commands", "module", "sim"),
    "encoding": ("commands", "module", "sim"),
    "commands": ("module", "sim"),
}

# What the engine is made of: nothing that knows a clock, randomness, files or a network.
CRATES_OF_THE_ENGINE = {"std", "core", "hashbrown", "smallvec", "crate", "super", "self"}
IMPURE = re.compile(r"\bstd::(time|fs|net|env|process|thread|io)\b|\b(SystemTime|Instant)::now\b|\bRandomState\b")


def sources(folder: Path = SRC) -> list[Path]:
    found = sorted(folder.rglob("*.rs"))
    assert found, f"nothing in {folder}"
    return found


def code(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments and without the unit tests, which stand at the end of a file."""
    for number, line in enumerate(path.read_text().split("\n#[cfg(test)]\nmod tests")[0].splitlines(), 1):
        bare = re.sub(r"(?<!:)//.*", "", line)
        if bare.strip():
            yield number, bare


def offences(paths: list[Path], pattern: str | re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in code(path)
        if re.search(pattern, line)
    ]


def test_the_patterns_find_what_they_look_for(tmp_path: Path) -> None:
    bad = tmp_path / "bad.rs"
    bad.write_text("// crate::module in a comment\nuse crate::{engine, module::key};\nunsafe { x() };\n")
    assert len(list(code(bad))) == 2
    assert imports(bad, "module") and not imports(bad, "sim")


def imports(path: Path, layer: str) -> bool:
    """True when a file names a layer of the crate, alone or in a group of imports."""
    text = "\n".join(line for _, line in code(path))
    if re.search(rf"\bcrate::{layer}\b", text):
        return True
    return any(re.search(rf"\b{layer}\b", group) for group in re.findall(r"\bcrate::\{(.*?)\};", text, re.DOTALL))


@pytest.mark.parametrize("layer,above", [(layer, above) for layer, many in FORBIDDEN.items() for above in many])
def test_dependencies_point_one_way(layer: str, above: str) -> None:
    assert [str(path.relative_to(ROOT)) for path in sources(SRC / layer) if imports(path, above)] == []


def test_only_the_glue_names_the_server_and_is_unsafe() -> None:
    pure = [path for path in sources() if SRC / "module" not in path.parents]
    assert offences(pure, r"\bredis_module\b|\bunsafe\b|\bextern \"C\"|no_mangle") == []


def test_every_unsafe_block_says_why() -> None:
    missing = []
    for path in sources(SRC / "module"):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if not re.search(r"\bunsafe\s*\{|\bunsafe impl\b", re.sub(r"//.*", "", line)):
                continue
            above = "\n".join(lines[max(0, number - 12) : number])
            if "SAFETY:" not in above:
                missing.append(f"{path.relative_to(ROOT)}:{number + 1}")
    assert missing == []


def test_the_engine_is_pure() -> None:
    engine = sources(SRC / "engine")
    used = {
        (crate, path.name)
        for path in engine
        for _, line in code(path)
        for crate in re.findall(r"^(?:pub )?use (\w+)", line)
        if crate not in CRATES_OF_THE_ENGINE and not (path.parent / f"{crate}.rs").exists()
    }
    assert used == set()
    assert offences(engine, IMPURE) == []


def test_no_file_is_long() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert {name: lines for name, lines in long.items() if lines > LINES} == {}


def test_every_file_opens_with_prose() -> None:
    assert [str(path.relative_to(ROOT)) for path in sources() if not path.read_text().startswith("//!")] == []


def test_nothing_is_left_to_do() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\b(todo|unimplemented|dbg)!")
    texts = [*sources(), *sorted((ROOT / "tests-py").glob("*.py")), ROOT / "Makefile"]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts
        if path.name != Path(__file__).name
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert found == []


def test_no_test_sleeps() -> None:
    tests = sorted((ROOT / "tests-py").glob("*.py"))
    allowed = ("waiting.py", Path(__file__).name)
    assert offences([path for path in tests if path.name not in allowed], r"\bsleep\(") == []
