"""The one reader of foreign words: what a library, a server or a page says went wrong, as a class of
error and the code that its own system has for it.

Nothing else reads such text, and nothing of it is kept. `table.toml` holds the words with their
sources; a kind of error is added there.
"""

from hokusai_validation.resources.classification.answers import AnswerRead, of_answer
from hokusai_validation.resources.classification.exceptions import (
    of_aws,
    of_database,
    of_exception,
    of_name,
    of_redis,
)
from hokusai_validation.resources.classification.table import Classified
from hokusai_validation.resources.classification.texts import of_text

__all__ = [
    "AnswerRead",
    "Classified",
    "of_answer",
    "of_aws",
    "of_database",
    "of_exception",
    "of_name",
    "of_redis",
    "of_text",
]
