"""A target file that can't work is refused with key and reason: no trace, no waiting, no blame on the target."""

import os
import random
import re
from pathlib import Path

import pytest

from hokusai_validation.errors import TargetInvalid, TargetNotFound
from hokusai_validation.target import read_target

EXAMPLE = Path(__file__).parent.parent / "targets" / "example.toml"
IMPOSSIBLE = {
    "a missing CA": ('[tls]\nca_file = "gone.pem"', "`tls.ca_file`"),
    "a CA that is none": ('[tls]\nca_file = "t.toml"', "`tls.ca_file`"),
    "a port": ('[redis]\nhost = "r"\nport = 99999', "`redis.port`"),
    "a negative port": ('[redis]\nhost = "r"\nport = -1', "`redis.port`"),
    "a file as URL": ('[endpoints]\nregistry = "file:///etc/passwd"', "`endpoints.registry`"),
    "no URL": ('[endpoints]\nregistry = "registry"', "`endpoints.registry`"),
    "a password in it": ('[endpoints]\nregistry = "https://u:hunter2@host"', "`endpoints.registry`"),
    "a bad port in a URL": ('[[instances]]\nname = "a"\nurl = "http://h:99999"', "`instances.0.url`"),
    "no time at all": ("[limits]\nrequest_s = 1e-9", "`limits.request_s`"),
    "for ever": ("[limits]\nrequest_s = inf", "`limits.request_s`"),
    "no number": ("[alerts]\nmin_availability = nan", "`alerts.min_availability`"),
    "a share above all": ("[alerts]\nmax_error_rate = 1.5", "`alerts.max_error_rate`"),
    "a host that is a URL": ('[redis]\nhost = "redis://r"', "`redis.host`"),
    "many digits": (f"[limits]\nrequest_s = {'9' * 5000}", "not valid TOML"),
    "depth": (f"description = {'[' * 3000}", "nested too deeply"),
    "NUL": ('description = "a\\u0000b"', "control character"),
    "a long text": (f'description = "{"x" * 10_000}"', "over 4096 characters"),
    "a pipe": ('env_file = "pipe"', "`env_file`"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_can_not_work_is_refused_with_key_and_reason(tmp_path: Path, case: str) -> None:
    text, says = IMPOSSIBLE[case]
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "t.toml"
    path.write_text(f'name = "t"\n{text}\n')
    with pytest.raises(TargetInvalid) as raised:
        read_target(str(path))
    assert says in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    "name", ["x" * 5000, "a\0b", "/" + "y/" * 3000 + "t.toml"], ids=["long", "nul", "deep"]
)
def test_a_name_that_no_file_can_have_is_not_known(name: str) -> None:
    with pytest.raises(TargetNotFound):
        read_target(name)


ODD = (
    *("-1", "0", "99999", "1e-9", "inf", "nan", "9" * 5000, '""', '"\\u0000"', '"file:///x"', '"http://"'),
    *("[]", "{}", "true", "[" * 900 + "]" * 900, '"' + "x" * 70_000 + '"', "1979-05-27", '"\\ud7ff"'),
)


def mutations(count: int) -> list[str]:
    """The example file, a line of it gone, doubled, cut, or with another value: the same each time."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    choose = random.Random(14)
    valued = [number for number, line in enumerate(lines) if re.match(r"\w+ *= ", line)]
    found = []
    for _ in range(count):
        changed, at, way = list(lines), choose.choice(valued), choose.randrange(6)
        if way == 0:
            del changed[at]
        elif way == 1:
            changed.insert(at, changed[at])
        elif way == 2:
            changed[at] = changed[at][: choose.randrange(len(changed[at]))]
        else:
            changed[at] = f"{changed[at].split('=')[0]}= {choose.choice(ODD)}"
        found.append("\n".join(changed))
    return found


def check_mutations(folder: Path, count: int) -> None:
    path = folder / "mutated.toml"
    said = []
    for text in mutations(count):
        path.write_text(text, encoding="utf-8")
        try:
            read_target(str(path), follow_include=False)
        except (TargetInvalid, TargetNotFound) as error:
            said.append(str(error))
    assert said
    assert max(map(len, said)) < 2000


def test_a_mutated_file_is_read_or_refused(tmp_path: Path) -> None:
    check_mutations(tmp_path, 60)


@pytest.mark.soak
def test_a_thousand_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    check_mutations(tmp_path, 1000)
