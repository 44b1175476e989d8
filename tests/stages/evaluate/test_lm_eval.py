"""Our models as models of lm-evaluation-harness, if it is installed."""

import pytest
from corpusmill.evaluation.models import load

from tests.evaluation.tiny_models import hybrid_folder

pytest.importorskip("lm_eval")


def test_lm_eval_gets_the_scores_that_evaluate_gives(tmp_path):
    from corpusmill.evaluation.scoring import pieces_of, score
    from corpusmill.stages.evaluate.lm_eval import Corpusmill
    from lm_eval.api.instance import Instance

    load.cache_clear()
    model = Corpusmill(str(hybrid_folder(tmp_path / "model")), device="cpu")
    pairs = [("The sky is", " blue"), ("", "One two three"), ("Water is ", "wet and cold")]
    requests = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
    pieces = pieces_of(model.tokenizer, pairs, model.reading.start, model.reading.prefix)
    assert model.loglikelihood(requests) == [
        (pytest.approx(found.loglikelihood, abs=1e-4), found.greedy)
        for found in score(model.model, pieces, 1000)
    ]
    (rolling,) = model.loglikelihood_rolling([Instance("rolling", {}, ("A long text. " * 90,), 0)])
    assert rolling < -1000
    (answer,) = model.generate_until(
        [Instance("generate", {}, ("One", {"until": ["\n"], "max_gen_toks": 3}), 0)]
    )
    assert isinstance(answer, str)
