"""Three views of a component, compared."""

from itertools import product

import pytest

from hokusai_validation.probes.three_views import View, Views, disagreement

SIDES = (None, *View)


@pytest.mark.parametrize(("said", "seen", "aws"), list(product(SIDES, SIDES, SIDES)))
def test_up_in_one_view_and_not_in_another_is_a_disagreement(
    said: View | None, seen: View | None, aws: View | None
) -> None:
    views = {said, seen, aws}
    text = disagreement(Views(component="redis", said=said, seen=seen, aws=aws))
    assert (text is not None) == (View.UP in views and bool(views & {View.DOWN, View.ABSENT}))


def test_the_sentence_names_each_side() -> None:
    text = disagreement(
        Views(
            component="mlflow",
            said=View.UP,
            said_text="healthy",
            seen=View.DOWN,
            seen_text="connection refused",
            aws=View.IMPAIRED,
        )
    )
    assert (
        text == "mlflow: the service says up (healthy), we see down (connection refused), AWS says impaired"
    )
