"""The contract of the rows: it holds for good rows, names what breaks it, and its page loads nothing."""

import re
from pathlib import Path

import pytest

from hokusai_validation.diagnosis.results_contract import alone, check, write_docs
from hokusai_validation.result import Status, to_frame
from hokusai_validation_tests.diagnosis.rows import all_passed, row

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_good_rows_keep_it_and_its_page_loads_nothing(tmp_path: Path) -> None:
    checked = check(to_frame(all_passed()), "somewhere")
    assert checked.success
    assert checked.broken == ()
    page = (write_docs(checked, tmp_path / "docs") / "index.html").read_text()
    assert "ExpectationSuite" in page or "Validation" in page
    assert not re.search(r"<(script|link|img|iframe)\b", page)
    assert not re.search(r"(src|@import|url\()\s*=?\s*['\"]?https?:", page)
    assert "Content-Security-Policy" in page


def test_a_missing_and_a_doubled_row_break_it() -> None:
    rows = all_passed()
    checked = check(to_frame([*rows[1:], rows[2]]), "somewhere")
    assert not checked.success
    assert any("unique" in each for each in checked.broken)
    assert any("contain_set" in each for each in checked.broken)


def test_rows_of_a_stranger_break_it() -> None:
    checked = check(to_frame([*all_passed(), row("unheard of", Status.PASSED, target="else")]), "somewhere")
    assert any("in_set target" in each for each in checked.broken)
    assert any("in_set test" in each for each in checked.broken)


def test_what_would_run_is_taken_out() -> None:
    page = alone('<head></head><body onload="x()"><script src="http://a/">1</script><img src=x>ok</body>')
    assert "script" not in page.replace("unsafe-inline", "")
    assert "onload" not in page
    assert "ok" in page
