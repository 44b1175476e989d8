"""Words, sentences and stop words by text and by line, against plain Python over the same
tokens.
"""

import pyarrow as pa
from corpusmill.stages.filter.measuring import measure
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.stages.filter.measure.plain_statistics import cut, parts_of, sentences_of

STOP_WORDS = {"": ("the", "of", "a"), "de": ("der", "und")}
PIECES = ["the", "The", "der", "und", "of.", "word", "word!", "?", "...", "e.g.", "(", "7", "é."]
TEXTS = st.lists(st.sampled_from([*PIECES, "\n"]).map(lambda piece: piece + " "), max_size=25).map(
    "".join
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.sampled_from(["de", "en", None])), min_size=1, max_size=4))
@example([("the the of", None), ("der und the", "de")])
@example([('One. Two! "Three?" he said.\nFour', None)])
def test_counts_are_those_of_plain_python(texts):
    column = pa.chunked_array([[text for text, _ in texts]])
    languages = [language for _, language in texts]
    measured = measure(column, stop_words=STOP_WORDS, languages=languages).measured
    for place, (text, language) in enumerate(texts):
        lines = [
            [token for part in parts_of(line) for token in cut(part)] for line in text.split("\n")
        ]
        tokens = [token for line in lines for token in line]
        stop_words = STOP_WORDS.get(language or "", STOP_WORDS[""])
        assert measured["tokens"][place] == len(tokens)
        assert measured["stop_words"][place] == len(set(tokens) & set(stop_words))
        assert measured["sentences"][place] == sum(map(sentences_of, lines))
