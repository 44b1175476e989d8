"""Decoding gives the tokens and logits of the full forward, whatever stands beside a row."""

import dataclasses
import random
from typing import Any

import pytest
import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.trainer.export import TokenizerFacts, huggingface_config
from corpusmill.trainer.generation.generator import Answer, Generator, Prompt
from corpusmill.trainer.generation.layers import Decoder
from corpusmill.trainer.generation.sampling import Sampling
from corpusmill.trainer.model import HybridModel, initialise

CPU = torch.device("cpu")
FACTS = TokenizerFacts(64, None, 1, None)


@pytest.fixture
def model(small_model) -> HybridModel:
    """Random, with weights large enough for answers that vary."""
    model = HybridModel(small_model.model_copy(update={"pattern": "M*-M*M-", "init_std": 0.4}))
    initialise(model, 3)
    return model.eval()


def full_logits(model: HybridModel, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([tokens]))[0]


def prompts_of(lengths: list[int], temperature: float = 0.0) -> list[Prompt]:
    rng = random.Random(5)
    return [
        Prompt(
            token_ids=tuple(rng.randrange(2, 64) for _ in range(length)),
            max_tokens=24,
            sampling=Sampling(temperature, 0.9, seed=100 + length),
        )
        for length in lengths
    ]


def answers(generator: Generator, prompts: list[Prompt]) -> list[Answer]:
    found = dict(generator.generate(prompts))
    return [found[index] for index in range(len(prompts))]


@pytest.mark.parametrize("weights", ["fp32", "bf16"])
def test_logits_are_those_of_the_full_forward_at_every_step(model, weights):
    """Also if rows take back tokens, move to another slot, or start anew beside old ones."""
    if weights == "bf16":  # then a CPU may keep them in fp16
        model.load_state_dict({name: x.bfloat16() for name, x in model.state_dict().items()})
    rng = random.Random(1)
    decoder = Decoder(model, 4, CPU, torch.float32)
    texts = [[rng.randrange(64) for _ in range(length)] for length in (1, 2, 16, 45)]
    for row, text in enumerate(texts):
        torch.testing.assert_close(
            decoder.prefill(row, text), full_logits(model, text)[-1], rtol=0, atol=1e-4
        )
    for number in range(40):
        width = (1, 1, 5, 16)[number % 4]
        read = [[rng.randrange(64) for _ in range(width)] for _ in texts]
        found = decoder.step(read)
        counts = [rng.randint(1, width) for _ in texts]
        decoder.keep(counts)
        for row, text in enumerate(texts):
            expected = full_logits(model, text + read[row])[len(text) :]
            torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-4)
            text += read[row][: counts[row]]
        if number == 10:
            decoder.move(3, 1)
            texts[1] = list(texts[3])
        if number == 20:
            texts[2] = [rng.randrange(64) for _ in range(9)]
            decoder.prefill(2, texts[2])


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_bf16_is_as_near_to_fp32_as_the_full_forward_in_bf16(model, device):
    rng = random.Random(2)
    rounded = HybridModel(model.config, torch.bfloat16).eval()
    rounded.load_state_dict(model.state_dict())
    decoder = Decoder(model, 2, torch.device(device), torch.bfloat16)
    text = [rng.randrange(64) for _ in range(40)]
    decoder.prefill(0, text)
    errors = torch.zeros(2)
    for width in (1, 1, 4, 16, 1):
        read = [rng.randrange(64) for _ in range(width)]
        found = decoder.step([read])[0].cpu()
        decoder.keep([width])
        text += read
        exact = full_logits(model, text)[-width:]
        errors += torch.stack(
            [(found - exact).norm(), (full_logits(rounded, text)[-width:] - exact).norm()]
        )
    assert errors[0] < 1.5 * errors[1]


def test_greedy_tokens_are_those_of_stock_transformers(model, tmp_path):
    import json

    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    (tmp_path / "config.json").write_text(
        json.dumps(huggingface_config(model.config, FACTS.ids(), "float32", 256))
    )
    weights = {name: value.detach() for name, value in model.named_parameters()}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    stock: Any = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    prompts = prompts_of([1, 2, 3, 15, 16, 17, 40])
    generator = Generator.load(tmp_path, slots=3, stop_ids=[1])
    for prompt, answer in zip(prompts, answers(generator, prompts), strict=True):
        ids = torch.tensor([prompt.token_ids])
        expected = stock.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False
        )
        assert answer.token_ids == expected[0, len(prompt.token_ids) :].tolist()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_rows_tokens_do_not_depend_on_its_neighbours(model, temperature):
    prompts = prompts_of([7, 1, 30, 12, 3, 20, 18, 2], temperature=temperature)
    generator = Generator(model, slots=3, stop_ids=[1])
    together = answers(generator, prompts)
    assert answers(generator, prompts[::-1])[::-1] == together
    assert [answers(Generator(model, 1, [1]), [prompt])[0] for prompt in prompts] == together
    assert len({tuple(answer.token_ids) for answer in together}) > 5


def test_the_seed_decides_a_drawn_answer(model):
    [prompt] = prompts_of([9], temperature=1.0)
    other = dataclasses.replace(prompt, sampling=dataclasses.replace(prompt.sampling, seed=1))
    first, second, third = answers(Generator(model, 3), [prompt, prompt, other])
    assert first.token_ids == second.token_ids != third.token_ids


@pytest.mark.parametrize("temperature", [0.0, 0.2])
def test_guesses_save_steps_and_change_no_token(model, temperature, monkeypatch):
    """With faint layers the next token follows from the last one, so an answer soon repeats."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("out_proj.weight", "o_proj.weight", "down_proj.weight")):
                parameter *= 0.1
    prompts = [
        dataclasses.replace(prompt, max_tokens=100)
        for prompt in prompts_of([5, 9, 14], temperature=temperature)
    ]
    steps: list[int] = []
    step = Decoder.step

    def counted(self, tokens):
        steps[-1] += 1
        return step(self, tokens)

    monkeypatch.setattr(Decoder, "step", counted)
    found = []
    for guess in (False, True):
        steps.append(0)
        found.append(answers(Generator(model, 2, guess=guess), prompts))
    assert found[0] == found[1]
    assert steps[1] < 0.7 * steps[0]


def test_a_stop_token_ends_an_answer_and_stands_last(model):
    [prompt] = prompts_of([8])
    [plain] = answers(Generator(model), [prompt])
    stop = plain.token_ids[5]
    [ended] = answers(Generator(model, stop_ids=[stop]), [prompt])
    assert ended.token_ids == plain.token_ids[: plain.token_ids.index(stop) + 1]
    assert (plain.finish_reason, ended.finish_reason) == ("length", "stop")


def letters(tokens) -> str:
    return "".join(chr(ord("A") + token) for token in tokens)


def test_a_stop_string_ends_an_answer_and_does_not_stand_in_it(model):
    [prompt] = prompts_of([8])
    [plain] = answers(Generator(model, decode=letters), [prompt])
    stop = plain.text[4:7]
    [ended] = answers(
        Generator(model, decode=letters), [dataclasses.replace(prompt, stop=("nowhere", stop))]
    )
    end = plain.text.index(stop)
    assert (ended.text, ended.finish_reason) == (plain.text[:end], "stop")
    assert ended.token_ids == plain.token_ids[: end + 3]


def test_log_probabilities_are_the_models_own(model):
    prompts = [
        dataclasses.replace(prompt, log_probabilities=True)
        for prompt in prompts_of([8, 3], temperature=0.7)
    ]
    for prompt, answer in zip(prompts, answers(Generator(model), prompts), strict=True):
        whole = [*prompt.token_ids, *answer.token_ids]
        logs = full_logits(model, whole)[:-1].log_softmax(-1)[-len(answer.token_ids) :]
        expected = logs.gather(1, torch.tensor(answer.token_ids).unsqueeze(1))[:, 0]
        assert answer.log_probabilities is not None
        torch.testing.assert_close(
            torch.tensor(answer.log_probabilities), expected, rtol=0, atol=1e-4
        )


def test_prompts_are_taken_as_slots_are_free(model):
    """A long answer holds its slot. The others pass through the second one."""
    lengths = [40, 3, 2, 5]
    prompts = [
        dataclasses.replace(prompt, max_tokens=count)
        for prompt, count in zip(prompts_of([4] * 4), lengths, strict=True)
    ]
    taken = []

    def stream():
        for number, prompt in enumerate(prompts):
            taken.append(number)
            yield prompt

    ends = []
    for index, answer in Generator(model, slots=2).generate(stream()):
        ends.append((index, len(answer.token_ids), len(taken)))
    assert ends == [(1, 3, 2), (2, 2, 3), (3, 5, 4), (0, 40, 4)]


def test_news_are_the_tokens_as_they_come(model):
    prompts = prompts_of([4, 6])
    heard: dict[int, list[int]] = {0: [], 1: []}
    generator = Generator(model)
    found = dict(generator.generate(prompts, lambda index, new: heard[index].extend(new)))
    assert heard == {index: answer.token_ids for index, answer in found.items()}


def test_a_call_that_is_left_early_does_not_spoil_the_next(model):
    prompts = prompts_of([6, 11, 4, 9])
    generator = Generator(model, slots=2)
    whole = answers(generator, prompts)
    next(generator.generate(prompts[::-1]))
    assert answers(generator, prompts) == whole


def test_no_tokens_asked_gives_an_empty_answer(model):
    [prompt] = prompts_of([4])
    [answer] = answers(Generator(model), [dataclasses.replace(prompt, max_tokens=0)])
    assert (answer.token_ids, answer.finish_reason) == ([], "length")


def test_only_the_attention_layers_need_memory_that_grows(model):
    decoder = Decoder(model, 1, CPU, torch.float32)
    cache = decoder.cache

    def sizes() -> tuple[int, int]:
        tensors = [value for value in vars(cache).values() if isinstance(value, torch.Tensor)]
        growing = {id(cache.keys_LSKTP), id(cache.values_LSKTP)}
        return (
            sum(tensor.numel() for tensor in tensors if id(tensor) not in growing),
            sum(tensor.numel() for tensor in tensors if id(tensor) in growing),
        )

    decoder.prefill(0, [1, 2, 3])
    before = sizes()
    decoder.prefill(0, [1, 2, 3] * 300)
    after = sizes()
    assert before[0] == after[0]
    assert before[1] < after[1]


def test_a_folder_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match="a model of type 'llama'"):
        Generator.load(tmp_path)
