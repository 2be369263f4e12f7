"""Errors as tests expect them: the first word of the error, and what its text must name."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis


@contextmanager
def refused(code: str, *names: str) -> Iterator[None]:
    """The block must end in an error whose first word is `code` and whose text has every name."""
    with pytest.raises(redis.ResponseError) as caught:
        yield
    error = caught.value
    words = str(error)
    first = getattr(error, "status_code", None) or words.split(" ")[0]
    assert first == code, f"{first} {words}"
    for name in names:
        assert name in words, f"'{words}' does not name {name}"
