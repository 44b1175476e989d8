"""What `corpusmill dedup --explain` says, from the stage's files alone."""

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.stages.dedup.explain import explain, explanation_text, shared_passages

from tests.stages.dedup.corpus import dedup, document, edited, words
from tests.stages.dedup.signatures.test_minhash import plain_jaccard


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    text = words(1)
    near = " ".join(edited(text, 2))
    shards = (
        [document("near", near, url="http://near.example/"), document("alone", " ".join(words(2)))],
        [
            document("best", " ".join([*text, "and more"]), url="http://best.example/"),
            document("copy", near),
        ],
    )
    return dedup(tmp_path_factory.mktemp("explain"), *shards), near, " ".join([*text, "and more"])


def test_a_removed_document_is_told_its_survivor_and_their_similarity(run):
    result, near, best = run
    found = explain(str(result.folder), "near")
    assert (found.survivor.id, found.size, found.document.reason) == ("best", 3, "dedup.fuzzy")
    assert found.document.similarity == pytest.approx(plain_jaccard(near, best))
    assert [member.id for member in found.members] == ["best", "copy", "near"]
    assert found.members[0].reason is None


def test_the_shared_passages_are_the_text_between_the_edits(run):
    result, near, best = run
    shared = explain(str(result.folder), "near").shared
    assert sum(passage.words for passage in shared) == 198
    assert all(passage.text in near and passage.text in best for passage in shared)


def test_a_survivor_is_told_how_many_fell_for_it(run):
    result, _, _ = run
    assert explanation_text(explain(str(result.folder), "best")).startswith(
        "best stays; 2 documents were removed for it"
    )
    assert explanation_text(explain(str(result.folder), "alone")).startswith(
        "alone stays; 0 documents"
    )


def test_the_text_names_survivor_similarity_and_passage(run):
    result, _, _ = run
    text = explanation_text(explain(str(result.folder), "copy"))
    assert "copy was removed (dedup.fuzzy): Jaccard 0.894" in text
    assert "survivor  best  http://best.example/" in text
    assert "words in a row:" in text


def test_an_unknown_document_is_an_error_that_says_where_ids_are(run):
    result, _, _ = run
    with pytest.raises(InputError, match="no document nowhere"):
        explain(str(result.folder), "nowhere")


def test_the_beginning_of_an_id_will_do_where_no_other_begins_so(tmp_path):
    text = " ".join(words(1))
    shards = [document("twin-1", text), document("twin-2", text)], [document("twin", text)]
    folder = str(dedup(tmp_path, *shards, signatures=True).folder)
    assert explain(folder, "twin-1").document.id == "twin-1"
    # a full id wins, though other ids begin so
    assert explain(folder, "twin").document.id == "twin"
    with pytest.raises(InputError, match="twi is the beginning of 3 ids; give more of it"):
        explain(folder, "twi")
    folder = str(dedup(tmp_path / "other", [document("lonely", text)]).folder)
    assert explain(folder, "lone").document.id == "lonely"


def test_passages_do_not_see_case_and_punctuation_and_end_where_words_differ():
    left = "Well: one, two THREE four five six; seven. Then something else"
    right = "so one two three four five -- six seven eight"
    (passage,) = shared_passages(left, right)
    assert (passage.words, passage.text) == (7, "one, two THREE four five six; seven.")


def test_passages_of_text_without_spaces_are_found_by_character():
    (passage,) = shared_passages("我们今天去公园散步吧", "你们今天去公园散步了")
    assert passage.text == "们今天去公园散步"
