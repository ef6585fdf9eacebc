"""Untrusted text, made harmless for the place it goes to. HTML is Jinja's autoescape."""

import re

# C0 and C1 controls (escape sequences among them), and the bidirectional overrides that can make
# a line read as something else. Tab and newline are kept where a place can show them.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(text: str) -> str:
    """Without control characters: each stands as its visible picture or code."""
    return _CONTROLS.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


def one_line(text: str, limit: int = 300) -> str:
    """Plain, on one line, and no longer than `limit` characters."""
    line = " ".join(plain(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def markdown(text: str, limit: int = 300) -> str:
    """One line of Markdown that renders as just this text."""
    return _MARKDOWN.sub(r"\\\1", one_line(text, limit))


def code_block(text: str) -> str:
    """A fenced block whose fence is longer than any run of back-ticks inside."""
    body = plain(text)
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{body}\n{fence}"


def csv_cell(text: str) -> str:
    """A cell that a spreadsheet shows and does not calculate (OWASP: CSV injection)."""
    cell = plain(text)
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA) else cell


def terminal(text: str, limit: int = 300) -> str:
    """One line for a terminal, and for rich's markup."""
    return one_line(text, limit).replace("[", r"\[")


def xml(text: str) -> str:
    """Text that XML 1.0 can carry; the writer escapes mark-up itself."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", plain(text))
