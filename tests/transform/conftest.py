"""Small inputs take every way that large ones do."""

import pytest

from lakelet.transform import fast


@pytest.fixture(autouse=True, scope="session")
def _no_input_is_too_small() -> None:
    """The expressions for undeclared fields are not worth making for a few lines; here they
    are made, or hypothesis would never see what they do."""
    fast._SIMPLE_LINES_MIN = 0
