"""Log-likelihoods: what is scored, in which batches, and that batches change nothing."""

import math

import pytest
import torch
from corpusmill.evaluation import scoring
from corpusmill.evaluation.hybrid import HybridScorer
from corpusmill.evaluation.models import Place, load
from corpusmill.evaluation.scoring import Piece, batches, pieces_of, score, windows_of
from corpusmill.manifests.errors import ModelError

from tests.evaluation.tiny_models import VOCABULARY, hybrid_folder, hybrid_model, llama_folder

CPU = Place("cpu", "float32")


class Letters:
    """A tokenizer of one token a letter; `ab` is one token, too."""

    def encode(self, texts):
        return [[ord(letter) for letter in text.replace("ab", "\x01")] for text in texts]


def test_spaces_at_the_end_of_a_context_belong_to_the_continuation():
    (piece,) = pieces_of(Letters(), [("to ", "be")], (), 7)
    assert piece == Piece(tuple(map(ord, "to")), tuple(map(ord, " be")))


def test_a_continuation_is_what_the_whole_has_beyond_the_context():
    (piece,) = pieces_of(Letters(), [("xa", "bc")], (), 7)  # `ab` joins over the border
    assert piece == Piece((ord("x"), ord("a")), (ord("c"),))


def test_an_empty_context_is_the_prefix_and_others_begin_with_the_start():
    assert pieces_of(Letters(), [("", "x"), ("y", "x")], (5,), 7) == [
        Piece((7,), (ord("x"),)),
        Piece((5, ord("y")), (ord("x"),)),
    ]


def test_windows_score_every_token_once_and_the_last_one_reads_back():
    pieces = windows_of(range(10), 99, 4)
    assert [piece.context for piece in pieces] == [(99,), (3,), (5, 6, 7)]
    assert [token for piece in pieces for token in piece.continuation] == list(range(10))
    assert max(piece.length for piece in pieces) == 4


def test_batches_hold_so_many_padded_tokens_longest_first():
    assert list(batches([1, 5, 2, 5, 30], 10)) == [[4], [1, 3], [2, 0]]


def random_pieces(number, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def ids(length):
        return tuple(torch.randint(3, VOCABULARY, (length,), generator=generator).tolist())

    pieces = []
    for _ in range(number):
        context = ids(int(torch.randint(33, 60, (1,), generator=generator)))
        pieces += [Piece(context, ids(length)) for length in (1, 2, 5)]
    return [*pieces, Piece((1,), ids(3))]


@pytest.fixture(params=["hybrid", "llama"])
def model(request, tmp_path):
    make = hybrid_folder if request.param == "hybrid" else llama_folder
    load.cache_clear()
    return load(make(tmp_path / "model"), "auto", CPU)


def plain(model, piece):
    """The sum of log-probabilities straight from the logits of the whole row."""
    ids = torch.tensor([[*piece.context, *piece.continuation]])
    with torch.no_grad():
        logits = model.model(ids)
        logits = getattr(logits, "logits", logits)[0].log_softmax(-1)
    places = range(len(piece.context) - 1, ids.shape[1] - 1)
    return sum(float(logits[place, ids[0, place + 1]]) for place in places)


def test_batched_scores_are_those_of_single_rows(model):
    pieces = random_pieces(6)
    found = score(model, pieces, 400)
    assert [item.loglikelihood for item in found] == pytest.approx(
        [plain(model, piece) for piece in pieces], abs=2e-4
    )
    assert [item.tokens for item in found] == [len(piece.continuation) for piece in pieces]


def test_a_shared_context_is_read_once_and_gives_the_same_scores(model, monkeypatch):
    pieces = random_pieces(30)
    long = tuple(range(3, 43))
    pieces += [Piece(long, tuple(range(3, 3 + length))) for length in (40, 17, 16, 1)]
    shared = score(model, pieces, 2000)
    read = []
    monkeypatch.setattr(model, "shared_scores", lambda *_: read.append(1))
    alone = score(model, pieces, 2000)
    assert read
    assert [item.loglikelihood for item in shared] == pytest.approx(
        [item.loglikelihood for item in alone], abs=2e-4
    )
    assert [item.greedy for item in shared] == [item.greedy for item in alone]


def test_only_long_contexts_with_several_continuations_are_shared():
    long, short = tuple(range(50)), tuple(range(7))
    pieces = [Piece(long, (1, 2)), Piece(short, (1, 2)), Piece(long, (2, 3)), Piece(short, (2,))]
    alone, groups = scoring._grouped(pieces)
    assert (alone, groups) == ([1, 3], [[0, 2]])


def test_choices_of_one_token_need_one_row(model, monkeypatch):
    read = []
    whole = model.token_scores

    def counted(tokens, *rest):
        read.append(len(tokens))
        return whole(tokens, *rest)

    monkeypatch.setattr(model, "token_scores", counted)
    context = tuple(range(3, 43))
    pieces = [Piece(context, (token,)) for token in (5, 6, 7, 8)]
    found = score(model, pieces)
    assert read == [1]
    assert [item.loglikelihood for item in found] == pytest.approx(
        [plain(model, piece) for piece in pieces], abs=2e-4
    )


def test_greedy_says_whether_each_token_was_the_likeliest(model):
    context = (5, 6, 7)
    best: list[int] = []
    for _ in range(3):
        with torch.no_grad():
            logits = model.model(torch.tensor([[*context, *best]]))
        best.append(int(getattr(logits, "logits", logits)[0, -1].argmax()))
    other = (*best[:2], (best[2] + 1) % VOCABULARY)
    found = score(model, [Piece(context, tuple(best)), Piece(context, other)], 100)
    assert [item.greedy for item in found] == [True, False]


def test_our_model_and_transformers_agree_on_an_export(tmp_path):
    folder = hybrid_folder(tmp_path / "hybrid")
    pieces = random_pieces(3)
    load.cache_clear()
    ours = score(load(folder, "trainer", CPU), pieces, 500)
    theirs = score(load(folder, "transformers", CPU), pieces, 500)
    assert [item.loglikelihood for item in ours] == pytest.approx(
        [item.loglikelihood for item in theirs], abs=1e-3
    )


def test_a_model_that_is_not_a_number_gives_no_number():
    model = hybrid_model()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = math.nan
    (found,) = score(HybridScorer(model), [Piece((5,), (6,))], 100)
    assert math.isnan(found.loglikelihood)


def test_a_folder_without_a_model_says_what_to_name(tmp_path):
    with pytest.raises(ModelError, match="neither a checkpoint nor a model"):
        load(tmp_path, "auto", CPU)
