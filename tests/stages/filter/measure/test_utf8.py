"""Reading characters out of UTF-8, against Python's decoder."""

import numpy as np
from corpusmill.stages.filter.measure.utf8 import decode
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=8))
def test_every_character_and_its_size(text):
    data, at, found = np.frombuffer(text.encode(), np.uint8), 0, []
    while at < data.size:
        code, size = decode(data, at)
        found.append((chr(code), size))
        at += size
    assert found == [(character, len(character.encode())) for character in text]
