"""The shipped small model cleans text that it was not trained on."""

import pytest
from corpusmill.manifests.package_data import package_file
from corpusmill.prompts import loader
from corpusmill.stages.engines.contract import Request, in_order
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.tools.denoise import noisy
from corpusmill.tools.error_rate import character_error_rate
from corpusmill.tools.evaluate_tiny import split_lead_in

TINY = package_file("models", "tiny")
CLEAN = (
    "The harbour was built in the nineteenth century to serve the growing trade in timber and "
    "wool. It was deepened twice, and a lighthouse was added at the end of the northern pier.\n\n"
    "Today most of the ships that call there carry passengers.",
    "A compiler reads the whole program before anything is run, while an interpreter works through "
    "it line by line. Many languages now use a mixture of both.",
    "Bees find their way home by the position of the sun. On cloudy days they rely on the pattern "
    "of light in the sky, which people are not able to see.",
    "The library lends books for four weeks. Readers who need more time may ask for it once, "
    "unless somebody else is waiting.",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (TINY / "model.safetensors").exists(), reason="the weights are not in this checkout"
    ),
]


@pytest.fixture(scope="module")
def answers() -> list[tuple[str, str, str, bool]]:
    """(noisy, clean, answer, with lead-in)"""
    prompt = loader.load("rephrase")
    engine = TransformersEngine(model=str(TINY), device="cpu", threads=2)
    pairs = [(noisy(clean, seed), clean) for clean in CLEAN for seed in range(4)]
    chats = [prompt.messages(spoilt) for spoilt, _ in pairs]
    requests = [
        Request(tuple(ids), tuple(chat), prompt.limits.max_output_tokens, 0.0, 1.0, 0)
        for ids, chat in zip(engine.tokenizer().prompt_ids(chats), chats, strict=True)
    ]
    completions = in_order(engine, requests)
    return [
        (spoilt, clean, *split_lead_in(completion.text, prompt.lead_in))
        for (spoilt, clean), completion in zip(pairs, completions, strict=True)
    ]


def test_every_answer_begins_with_the_lead_in_line(answers):
    assert all(led_in for *_, led_in in answers)


def test_most_of_the_noise_is_gone(answers):
    before = character_error_rate((spoilt, clean) for spoilt, clean, *_ in answers)
    after = character_error_rate((answer, clean) for _, clean, answer, _ in answers)
    assert after < before / 2


def test_the_model_is_small():
    assert (TINY / "model.safetensors").stat().st_size < 24_000_000
