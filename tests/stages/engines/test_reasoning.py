"""Reasoning is cut from answers in every notation, and good answers stay."""

import time

import pytest
from corpusmill.stages.engines import chat
from corpusmill.stages.engines.reasoning import without_reasoning

from tests.stages.engines import tiny_model
from tests.stages.engines.honest_texts import HONEST

ANSWER = "The harbour town grew around a market for salt."
REASONED = {
    "think": f"<think>\nOkay. A section.\n</think>\n\n{ANSWER}",
    "empty": f"<think>\n\n</think>\n\n{ANSWER}",
    "opened by the prompt": f"Okay, the user wants a section.\n</think>\n\n{ANSWER}",
    "thinking": f"<thinking>\na\n</thinking>\n{ANSWER}",
    "Magistral": f"[THINK]a[/THINK]{ANSWER}",
    "Kimi": f"◁think▷a◁/think▷{ANSWER}",
    "Seed": f"<seed:think>a</seed:think>{ANSWER}",
    "Command": f"<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
    "Sky-T1": "<|begin_of_thought|>a<|end_of_thought|>\n\n"
    f"<|begin_of_solution|>{ANSWER}<|end_of_solution|>",
    "R1": f"<think>a</think><answer>{ANSWER}</answer>",
    "MedGemma": f"<unused94>thought\na<unused95>{ANSWER}",
    "harmony": "<|channel|>analysis<|message|>We need.<|end|><|start|>assistant<|channel|>final"
    f"<|message|>{ANSWER}<|return|>",
    "harmony without special tokens": f"analysisWe need a section. Let's.assistantfinal{ANSWER}",
    "twice": f"<think>a</think>{ANSWER}\n<think>b</think>",
    "a question drafted": f"<think>\nQuestion: Draft?\n</think>\n{ANSWER}",
}

REASONED |= {
    f"<{tag}>": f"<{tag}>No.\n</{tag}>\n{ANSWER}"
    for tag in (
        *("longcat_think", "cot", "chain_of_thought", "inner_monologue"),
        *("reasoning_content", "thought_process", "internal_thoughts", " think "),
    )
} | {
    "thought process": f"Here is my thought process:\nNo.\n\nHere is my response:\n{ANSWER}",
    "done thinking": f"Thinking...\nNo.\n...done thinking.\n\n{ANSWER}",
    "inner prefix": f"<|inner_prefix|>No.<|inner_suffix|>{ANSWER}",
    "thinking token": f"<|thinking|>No.<|/thinking|>{ANSWER}",
    "fence": f"```thinking\nNo.\n```\n{ANSWER}",
    "Gemma 4": f"<|channel>thought\nNo.<channel|>{ANSWER}",
    "wide bars": f"<｜think｜>No.<｜/think｜>{ANSWER}",
    "Open WebUI": f'<details type="reasoning" done="true">\n> No.\n</details>\n{ANSWER}',
    "time": f"Thought for 12 seconds\n\n{ANSWER}",
    "headings": f"**Thinking Process:**\n\n1. No.\n\n**Final Answer:**\n{ANSWER}",
    "text behind the heading": f"**Thinking Process:**\n1. No.\n\n**Final Answer:** {ANSWER}",
    "a heading without text": f"Thinking process:\nNo.\nFinal text:\n{ANSWER}\n\n## Final Answer",
    "two headings": f"Thinking process:\nNo.\n\nFinal Answer:\n## Final text\n{ANSWER}",
    "half an answer": f"<think>No.</think>\n<answer>{ANSWER}",
    "output": f"<thinking>No.</thinking>\n<output>\n{ANSWER}\n</output>",
    "final answer": f"<think>No.</think>\n<final_answer>{ANSWER}</final_answer>",
    "response": f"<think>No.</think>\n<response>\n{ANSWER}\n</response>",
}

FINAL = "<|start|>assistant<|channel|>final"
REASONED |= {
    f"<{tag}>": f"<{tag}>\nNo.\n</{tag}>\n\n{ANSWER}"
    for tag in (
        *("antml:thinking", "antThinking", "mm:think", "think_faster", "self-reflection"),
        *("chain-of-thought", "scratchpad", "inner_thoughts", "Thinking", "reasoning", "thoughts"),
    )
} | {
    "an attribute": f'<think budget="9">No.</think>{ANSWER}',
    "Seed's budget": "<seed:think>No.<seed:cot_budget_reflect>9 tokens</seed:cot_budget_reflect>"
    f"No.</seed:think>{ANSWER}",
    "nested": f"<think>No.<think>No.</think>No.</think>{ANSWER}",
    "nested, of two kinds": f"<think>No.<thinking>No.</thinking>No.</think>{ANSWER}",
    "an end within": f"<think>No. I write </think> when I end.\n</think>\n{ANSWER}",
    "a beginning within": f"<think>No. I have written <think> already.</think>{ANSWER}",
    "code within": f"<think>\n```\nNo.\n</think>\n{ANSWER}",
    "opened by the prompt, no line": f"No.</think>{ANSWER}",
    "Magistral, opened by the prompt": f"No.[/THINK]{ANSWER}",
    "Kimi, opened by the prompt": f"No.◁/think▷{ANSWER}",
    "words in brackets": f"[BEGIN REASONING]No.[END REASONING]{ANSWER}",
    "begin and end tokens": f"<|think_begin|>No.<|think_end|>{ANSWER}",
    "start and end tokens": f"<|thinking_start|>No.<|thinking_end|>{ANSWER}",
    "long token names": f"<|begin_of_reasoning|>No.<|end_of_reasoning|>{ANSWER}",
    "Command, text": f"<|START_THINKING|>No.<|END_THINKING|><|START_TEXT|>{ANSWER}<|END_TEXT|>",
    "GLM's box": f"<think>No.</think><|begin_of_box|>{ANSWER}<|end_of_box|>",
    "Apriel": "Here are my reasoning steps:\nNo.\n[BEGIN FINAL RESPONSE]\n"
    f"{ANSWER}\n[END FINAL RESPONSE]\n<|end|>",
    "Granite, short": f"Here's my thought process:\nNo.\n\nHere's my response:\n{ANSWER}",
    "Reasoning, Answer": f"Reasoning:\nNo.\nAnswer:\n{ANSWER}",
    "Reasoning, Answer, bold": f"**Reasoning:**\nNo.\n\n**Answer:**\n{ANSWER}",
    "Reasoning, Response, headings": f"## Reasoning\nNo.\n\n## Response\n{ANSWER}",
    "Thought, Final Answer": f"Thought: No.\nFinal Answer: {ANSWER}",
    "Analysis, Final answer": f"Analysis:\nNo.\n\nFinal answer:\n{ANSWER}",
    "step by step": f"Let's think step by step. No.\n\nFinal answer:\n{ANSWER}",
    "harmony, opened by the prompt": f"No.<|end|>{FINAL}<|message|>{ANSWER}<|return|>",
    "harmony, commentary": "<|channel|>analysis<|message|>No.<|end|><|start|>assistant<|channel|>"
    f"commentary<|message|>No.<|end|>{FINAL}<|message|>{ANSWER}<|return|>",
    "harmony, constrained": "<|channel|>analysis<|message|>No.<|end|>"
    f"{FINAL} <|constrain|>text<|message|>{ANSWER}<|return|>",
    "harmony, final first": f"<|channel|>final<|message|>{ANSWER}<|end|><|start|>assistant"
    "<|channel|>analysis<|message|>No.",
    "harmony without special tokens, opened": f"No.assistantfinal{ANSWER}",
    "harmony without special tokens, lines": f"analysis\nNo.\nassistant\nfinal\n{ANSWER}",
    "MedGemma without special tokens": f"thought\nNo.<unused95>{ANSWER}",
    "a summary": f"<details>\n<summary>Thinking</summary>\nNo.\n</details>\n\n{ANSWER}",
    "a line of its own": f"<think>No.</think>\n{ANSWER}\n<think>\nNo.\n</think>",
    "an end that is part of a line": f"I say </think> now.\nNo.\n</think>\n{ANSWER}",
    "an end and a blank": f"<think>No.</think> {ANSWER}",
    "an end and a blank, opened by the prompt": f"No.</think> {ANSWER}",
    "nothing but an end": f"</think>{ANSWER}",
    "no full stop": f"<think>No</think>{ANSWER}",
    "no full stop, opened by the prompt": f"No\nNo</think>\n{ANSWER}",
    "Deep Cogito": f"<think>\nNo.\n</think>\n\n<answer>\n{ANSWER}\n</answer>",
    "summary with a time": "<details>\n<summary>Thought for 9 seconds</summary>\nNo.\n</details>\n"
    f"{ANSWER}",
    "escaped": f"&lt;think&gt;No.&lt;/think&gt;{ANSWER}",
}


@pytest.mark.parametrize("notation", REASONED)
def test_the_answer_behind_the_reasoning_stays(notation):
    assert (without_reasoning(REASONED[notation], ANSWER) or "").strip() == ANSWER


def test_reasoning_on_lines_of_its_own_is_cut_and_a_quote_within_a_line_stays():
    assert without_reasoning("Salt was\n<think>No.</think>\nsold.", ANSWER) == "Salt was\n\nsold."
    within = "Salt was <think>No.</think>sold."
    assert without_reasoning(within, ANSWER) == within


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nOkay. A section without end.",
        "Okay, the user wants a textbook section. Let me go through the passage.",
        "First, let me analyze the passage.",
        "Thinking Process:\n\n1. Analyze the request.",
        "**Thinking:** The passage is short.",
        "Here is my thought process:\nThe passage is short.",
        "Hmm, I should rewrite this passage in clean prose.",
        "We must summarize the given text in one paragraph.",
        "Thinking process:\nNo.\n\nFinal answer:\n",
        "<|channel|>analysis<|message|>We need a section.<|end|>",
        "analysisWe need a section.",
        f"{ANSWER}\n<think>\nIs that all?",
        "<think>\n\n</think>\nOkay, let me see. The passage is short.",
        "Here are my reasoning steps:\nThe passage is short.",
        "Reasoning:\nThe passage is short.",
        "Reasoning:\nThe passage is short.\nQuestion: How short?\nAnswer: One line.",
        "thought\nThe passage is short.",
        "We are asked to rewrite it. The passage is short.",
        "Alright, let's tackle this. The user gave me a passage.",
        "<|channel|>commentary<|message|>The passage is short.",
    ],
)
def test_reasoning_without_an_answer_is_none(text):
    assert without_reasoning(text, ANSWER) is None


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        "<think> begins the reasoning and </think> ends it.",
        "The tag <think> begins the reasoning and </think> ends it.",
        "Analysis of variance compares means.",
        "analysis of variance compares means.",
        "analysis",
        "In short:\n\nFinal answer:\n42",
        "First, the user opens the lid. Let me add that we need to write it down.",
        "We must summarize the results first.\nThe results are good.",
        "We should rewrite the textbook, the teachers said.\n\nFinal Draft\n\nIt was done.",
        "I have to condense the milk.\n\nFinal version:\n\nSweet.\n\n## Final Answer",
        "<output>42</output>\n\nThat is the sum",
        "<output>4</output> and <output>2</output>",
        "<final>abc</response>",
        "A template:\n\n```\n<think>\n{{ reasoning }}\n```\n\nIt ends there.",
        "A template:\n\n~~~xml\n<think>\na\n</think>\n~~~\n\nIt ends there.",
        "Okay is a word. <p>A paragraph</p> [INST] {brackets}",
        "Models write `<think>` first and `</think>` last. Then they answer.",
        "A parser looks for </think> and takes the rest.",
        "1. Load the model.\n2. Split at </think>.\n3. Print the answer.",
        "gpt-oss writes <|channel|>analysis<|message|> and then <|channel|>final<|message|>.",
        "The server prints assistantfinal where the channel begins.",
        "Magistral writes [THINK] and [/THINK], Kimi ◁think▷.",
    ],
)
def test_other_answers_stay_as_they_are(text):
    assert without_reasoning(text) == without_reasoning(text, text) == text


@pytest.mark.parametrize("text", HONEST)
@pytest.mark.parametrize("passage", ["", ANSWER, "DeepSeek-R1 writes inside <think> tags.", None])
def test_an_honest_answer_comes_out_whole(text, passage):
    assert without_reasoning(text, text if passage is None else passage) == text


def test_an_answer_may_begin_with_a_quote():
    for begun in ("<think>", ""):
        assert without_reasoning(f'{begun}No.</think>"Salt" is old.', ANSWER) == '"Salt" is old.'


def test_half_of_a_pair_in_the_passage_quotes_the_other_half():
    text = "A log:\n<think>\nIt is old.\n</think>\nIt ends there."
    assert without_reasoning(text, ANSWER) == "A log:\n\nIt ends there."
    for half in ("<think>", "</think>", "&lt;/think&gt;"):
        assert without_reasoning(text, f"It has {half} in it.") == text


@pytest.mark.parametrize(
    "text",
    [
        "Reasoning: the art of drawing conclusions. It is old.",
        "## Reasoning\nIt is old.\n\n## Answer\nIt is young.",
        "Thought:\nIt is old.\n\nAnswer: It is young.",
        "Chain of thought: a way to ask models. Final answer: yes.",
        "Analysis: it is old.\n\nAnswer: it is young.",
        "A log:\n\n<think>\nIt is old.\n</think>\n\nIt ends there.",
        "The model writes <think>It is old.</think> and goes on.",
    ],
)
def test_an_answer_about_a_passage_with_such_words_stays(text):
    assert without_reasoning(text, f"It begins.\n{text}\nIt ends.") == text


def test_reasoning_about_a_passage_with_such_marks_is_cut():
    passage = "A model writes <think> first and </think> last."
    answer = "Models begin with <think> and end with </think>."
    assert without_reasoning(f"<think>\nIt says <think>.\n</think>\n{answer}", passage) == (
        f"\n{answer}"
    )
    assert without_reasoning(f"It says <think>.\n</think>\n{answer}", passage) == f"\n{answer}"


@pytest.mark.parametrize(
    "piece",
    [
        *("<think", "<think>", "<think>\n", "<a-think", "\n```x\n", "&lt;", " \n", "<|channel|>a"),
        *(
            '<details type="reasoning">\n',
            '\n<details type="reasoning"',
            "`a` <think> ",
            "</think> a",
        ),
        *(
            "<think>a",
            "`a` <think> ",
            "</think>\n<think> a",
            "a_",
            "a-a-",
            "[THINK]",
            "<summary>",
            "< think a=",
            "<details>\n<summary>",
        ),
    ],
)
def test_a_hostile_answer_takes_no_time(piece):
    began = time.process_time()
    without_reasoning(piece * 20_000, ANSWER)
    without_reasoning(f"No. {piece * 20_000}", "<think>")
    assert time.process_time() - began < 2


def test_a_decoded_answer_keeps_special_tokens_that_mark_reasoning(tmp_path):
    import transformers

    folder = tiny_model.save_tokenizer(tmp_path)
    hugging_face = transformers.AutoTokenizer.from_pretrained(folder)
    hugging_face.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    hugging_face.save_pretrained(folder)
    ids = hugging_face("[THINK]a river[/THINK]the sea</s>")["input_ids"]
    assert chat.load(str(folder)).decode(ids) == "[THINK]a river[/THINK]the sea"
