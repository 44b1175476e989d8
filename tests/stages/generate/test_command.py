"""`corpusmill generate`: which model a name means, prompts in, answers out, and bad input."""

import dataclasses
import json
import shutil
from typing import Any

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError, EngineError, InputError, ModelError
from corpusmill.stages.engines import embedded
from corpusmill.stages.generate.command import generate
from corpusmill.stages.generate.model import choose
from corpusmill.stages.generate.options import Options
from corpusmill.stages.generate.records import Record

from tests.command_line import corpusmill
from tests.stages.engines import tiny_model

GREEDY = Record(max_tokens=12, temperature=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model.save_model(tmp_path_factory.mktemp("models") / "random", context=64)


@pytest.fixture
def options(folder):
    return Options(str(folder), GREEDY, prompt="bread", device="cpu")


def printed(options: Options) -> str:
    parts: list[str] = []
    assert generate(options, parts.append) == 0
    return "".join(parts)


def lines(options: Options) -> list[dict]:
    return [json.loads(line) for line in printed(options).splitlines()]


def test_the_text_is_that_of_stock_transformers(options, folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    stock: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    asked = tokenizer("bread", return_tensors="pt")
    tokens = stock.generate(**asked, max_new_tokens=12, do_sample=False)[0]
    new = tokens[asked["input_ids"].shape[1] :]
    assert printed(options) == tokenizer.decode(new, skip_special_tokens=True) + "\n"


def test_text_comes_in_parts(options):
    parts: list[str] = []
    generate(options, parts.append)
    assert len(parts) > 5


def test_a_chat_goes_through_the_models_template(options, folder, tmp_path):
    (tmp_path / "chat.jsonl").write_text('{"messages": [{"role": "user", "content": "bread"}]}')
    chat = dataclasses.replace(options, chat=True)
    [line] = lines(dataclasses.replace(options, input=str(tmp_path / "chat.jsonl"), prompt=None))
    assert printed(chat) == line["answer"] + "\n" != printed(options)


def test_a_chat_that_the_template_refuses_is_named(options, tmp_path):
    refusing = "{{ raise_exception('no b') if messages[0].content == 'b' }}"
    refusing += tiny_model.TEMPLATE
    folder = tiny_model.save_model(tmp_path / "model", chat_template=refusing)
    (tmp_path / "in.jsonl").write_text('{"messages": [{"role": "user", "content": "b"}]}')
    strict = dataclasses.replace(
        options, model=str(folder), prompt=None, input=str(tmp_path / "in.jsonl")
    )
    with pytest.raises(InputError, match=r"line 1: .* refuses the prompt .*; change the chat"):
        lines(strict)


def test_lines_keep_their_fields_their_order_and_their_own_settings(options, tmp_path):
    records = [
        {"prompt": "bread", "id": 7},
        {"text": "water and salt", "max_tokens": 3},
        {"prompt": "sea", "temperature": 1.0, "seed": 4},
        {"prompt": "sea", "temperature": 1.0, "seed": 5},
    ]
    (tmp_path / "in.jsonl").write_text("\n\n".join(map(json.dumps, records)))
    found = lines(dataclasses.replace(options, prompt=None, input=str(tmp_path / "in.jsonl")))
    assert [
        {key: line[key] for key in record} for line, record in zip(found, records, strict=True)
    ] == records
    assert [line["n_output_tokens"] for line in found] == [12, 3, 12, 12]
    assert found[0]["answer"] == printed(options).removesuffix("\n")
    assert found[2]["answer"] != found[3]["answer"]


def test_an_answer_does_not_depend_on_its_line(options, tmp_path):
    records = [json.dumps({"prompt": word, "temperature": 1.0}) for word in ("sea", "salt", "a")]
    answers = []
    for name, order in (("a", records), ("b", records[::-1])):
        (tmp_path / name).write_text("\n".join(order))
        found = lines(dataclasses.replace(options, prompt=None, input=str(tmp_path / name)))
        answers.append({line["prompt"]: line["answer"] for line in found})
    assert answers[0] == answers[1]


def test_several_answers_differ_and_are_numbered(options):
    drawn = dataclasses.replace(
        options, samples=3, defaults=GREEDY.model_copy(update={"temperature": 1.0})
    )
    found = lines(dataclasses.replace(drawn, as_json=True))
    assert len({line["answer"] for line in found}) == 3
    text = "".join(f"--- {number}\n{line['answer']}\n" for number, line in enumerate(found, 1))
    assert printed(drawn) == text


def test_log_probabilities_come_with_their_tokens(options):
    [line] = lines(dataclasses.replace(options, log_probabilities=True))
    assert len(line["tokens"]) == len(line["log_probabilities"]) == 12
    assert all(-10 < value <= 0 for value in line["log_probabilities"])


def test_a_stop_string_is_not_printed(options):
    text = printed(options)
    stop = text[4:6]
    stopped = dataclasses.replace(options, defaults=GREEDY.model_copy(update={"stop": (stop,)}))
    assert printed(stopped) == text[: text.index(stop)] + "\n"


def test_an_answer_ends_with_the_context(options):
    [line] = lines(
        dataclasses.replace(
            options, as_json=True, defaults=GREEDY.model_copy(update={"max_tokens": 500})
        )
    )
    assert line["n_prompt_tokens"] + line["n_output_tokens"] == 64


def test_a_line_beyond_the_context_has_an_error_and_the_others_an_answer(options, tmp_path):
    records = [{"prompt": "water and salt " * 50}, {"prompt": "sea"}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, records)))
    parts: list[str] = []
    asked = dataclasses.replace(options, prompt=None, input=str(tmp_path / "in.jsonl"))
    assert generate(asked, parts.append) == 1
    long, short = map(json.loads, parts)
    assert "the model's context is 64" in long["error"]
    assert short["answer"]


def test_a_run_means_its_export_and_a_checkpoint_its_own_weights(folder, tmp_path, small_run):
    run = tmp_path / "out"
    shutil.copytree(small_run, run)
    assert choose(str(run)).folder == str(run / "train" / "checkpoint")
    assert choose(str(run / "train" / "checkpoint")).tokenizer == str(run / "pack" / "tokenizer")
    assert choose(str(run)).context == 16
    shutil.copytree(folder, run / "export")
    assert choose(str(run)).folder == choose(str(run / "export")).folder == str(run / "export")
    shutil.copytree(folder, run / "second")
    with pytest.raises(ModelError, match=r"several models; name one: .*export, .*second"):
        choose(str(run))


def test_a_checkpoint_answers(options, small_run):
    [line] = lines(dataclasses.replace(options, model=str(small_run), prompt="a", as_json=True))
    assert line["n_output_tokens"] > 0


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """OUT of a run that trained and did not export: a checkpoint, and the tokenizer of pack."""
    from corpusmill.trainer.config import TrainConfig
    from corpusmill.trainer.shape import HybridConfig
    from corpusmill.trainer.train import train

    out = tmp_path_factory.mktemp("run")
    tiny_model.save_tokenizer(out / "pack" / "tokenizer")
    shape = HybridConfig(
        pattern="M*-", hidden_size=16, ffn_size=16, attention_heads=2, key_value_heads=1,
        head_dim=8, mamba_heads=2, mamba_head_dim=8, mamba_groups=1, mamba_state=8,
        chunk_size=16, vocab_size=tiny_model.VOCABULARY,
    )  # fmt: skip
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {"id": ["a"], "tokens": [list(range(6, 200))], "n_prompt": [0], "source": ["test"]}
    shard = out / "shard.parquet"
    pq.write_table(pa.table(rows), shard)
    config = TrainConfig(
        model=shape, sequence_length=16, batch_size=2, steps=1, warmup_steps=0, device="cpu",
        threads=1,
    )  # fmt: skip
    result = train(config, [shard], out / "work")
    shutil.copytree(result.checkpoint, out / "train" / "checkpoint")
    shutil.rmtree(out / "work")
    return out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", r"line 2: '\[1\]' is no object"),
        ("{}", "line 2: there is no prompt; give `prompt`"),
        ('{"prompt": 5}', "line 2: prompt: .*string"),
        ('{"prompt": "a", "temperature": -1}', "line 2: temperature"),
        ('{"messages": []}', "line 2: messages: .*at least 1 item"),
        ('{"messages": [{"content": "a"}]}', "line 2: messages.0.role: Field required"),
        (r'{"prompt": "a", "id": "\ud800"}', r"line 2: the text has half .* \(U\+D800\)"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(options, tmp_path, line, message):
    (tmp_path / "in.jsonl").write_text('{"prompt": "sea"}\n' + line)
    with pytest.raises(InputError, match=message):
        lines(dataclasses.replace(options, prompt=None, input=str(tmp_path / "in.jsonl")))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "./nowhere"}, ModelError, "no model folder ./nowhere"),
        ({"model": "EMPTY"}, ModelError, "holds no model; name an export, a checkpoint"),
        ({"model": "BARE"}, ModelError, "no tokenizer in .*; name its folder with --tokenizer"),
        (
            {"model": "LLAMA"},
            ModelError,
            "of type 'llama', and `generate` runs nemotron_h alone; name a model that corpusmill",
        ),
        ({"model": "IMAGES"}, ModelError, "reads images; name an image with --image"),
        ({"prompt": "water " * 90}, InputError, "the model's context is 64; shorten it"),
        ({"input": "./none.jsonl", "prompt": None}, InputError, "none.jsonl cannot be read"),
        ({"prompt": "b\udcffd"}, InputError, r"half of a character \(U\+DCFF\)"),
    ],
)
def test_bad_input_is_one_line_with_the_mend(options, folder, tmp_path, changes, error, message):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "BARE").mkdir()
    (tmp_path / "LLAMA").mkdir()
    (tmp_path / "IMAGES").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder / name, tmp_path / "BARE")
    (tmp_path / "BARE" / "special_tokens_map.json").write_text("{}")
    (tmp_path / "LLAMA" / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "IMAGES" / "config.json").write_text('{"model_type": "internvl"}')
    if changes.get("model", "").isupper():
        changes = {"model": str(tmp_path / changes["model"])}
    with pytest.raises(error, match=message):
        printed(dataclasses.replace(options, **changes))


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU where there is none")
def test_an_absent_gpu_is_named(options):
    with pytest.raises(EngineError, match="no GPU here; set the device to cpu"):
        printed(dataclasses.replace(options, device="cuda"))


def test_a_tokenizer_of_another_model_is_named(options, tmp_path, small_run):
    other = shutil.copytree(small_run, tmp_path / "other")
    state = json.loads((other / "train" / "checkpoint" / "state.json").read_text())
    assert state["config"]["model"]["vocab_size"] == tiny_model.VOCABULARY
    with pytest.raises(CorpusmillError, match="the model knows 512; give the tokenizer"):
        printed(
            dataclasses.replace(
                options, model=str(other), tokenizer="package:models/tiny", prompt="encyclopedia"
            )
        )


def test_piped_text_is_the_prompt(options, pipe):
    pipe(b"bread\n")
    assert printed(dataclasses.replace(options, prompt=None)) == printed(options)


def test_a_stop_token_that_is_no_special_token_is_not_printed(options, folder, tmp_path):
    [line] = lines(dataclasses.replace(options, log_probabilities=True))
    end = line["tokens"][5]
    assert end not in line["tokens"][:5]
    other = shutil.copytree(folder, tmp_path / "other")
    settings = json.loads((other / "generation_config.json").read_text())
    (other / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": end}))
    stopped = dataclasses.replace(options, model=str(other))
    [line] = lines(dataclasses.replace(stopped, as_json=True))
    assert line["finish_reason"] == "stop"
    assert printed(stopped) == line["answer"] + "\n" != printed(options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "a.jsonl"}, "both --prompt and --input"),
        ({"images": ("a.png",), "samples": 2, "chat": True}, "does not use --chat and --n"),
    ],
)
def test_options_that_exclude_one_another_are_refused(options, changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(options, **changes)


def test_a_full_gpu_is_one_line_that_names_what_takes_less(options, monkeypatch):
    def full(*_arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(embedded, "load_generator", full)
    with pytest.raises(EngineError, match=r"--slots 16; set a smaller --slots; --dtype bfloat16"):
        printed(options)


def test_the_verb_prints_text_and_refuses_in_one_line(folder, options, tmp_path):
    found = corpusmill(
        *("generate", str(folder), "--prompt", "bread", "--max-tokens", "12"),
        *("--temperature", "0", "--device", "cpu"),
        cwd=tmp_path,
    )
    assert (found.returncode, found.stdout) == (0, printed(options))
    refused = corpusmill("generate", "./nowhere", "--prompt", "a", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("corpusmill: there is no model folder ./nowhere; ")
    assert len(refused.stderr.splitlines()) == 1
