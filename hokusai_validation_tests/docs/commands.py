"""The commands that the documents show."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "hokusai_validation" / "cli" / "templates" / "README.md",
)
PROGRAM = "hokusai-validation"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_OPTIONAL = re.compile(r"\[([^\]]*)\]…?")


@dataclass(frozen=True)
class Command:
    """One command as it stands in a document; `words` with what is optional in it, and no prompt."""

    document: str
    text: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}: {self.text}"


def commands() -> Iterator[Command]:
    """Every command of ours, of make, and of a module of ours, in every document."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        blocks = [match for match in _FENCE.finditer(text) if match[1] in ("", "console", "sh", "bash")]
        lines = [line for match in blocks for line in match[2].replace("\\\n", " ").splitlines()]
        lines += [match[1] for match in _INLINE.finditer(_FENCE.sub("", text))]
        for line in lines:
            found = _command(line.strip().removeprefix("$ "))
            if found is not None:
                yield Command(path.name, line.strip(), found)


def _command(line: str) -> tuple[str, ...] | None:
    try:
        words = shlex.split(_OPTIONAL.sub(r"\1", line), comments=True)
    except ValueError:
        return None
    while words and re.fullmatch(r"\w+=\S*", words[0]):
        words = words[1:]
    if not words:
        return None
    first = words[0].rpartition("/")[2]
    if first == PROGRAM and len(words) > 1:
        return (PROGRAM, *words[1:])
    if first == "make" and len(words) == 2 and re.fullmatch(r"[a-z]+", words[1]):
        return ("make", words[1])
    if first.startswith("python") and len(words) > 2 and words[1] == "-m" and words[2].startswith("hokusai"):
        return ("python", *words[1:])
    if (
        first.startswith("python")
        and len(words) > 2
        and words[1] == "-m"
        and words[2].startswith("benchmarks")
    ):
        return ("python", *words[1:])
    return None
