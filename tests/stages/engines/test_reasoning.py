"""Reasoning is cut from answers in every notation, and good answers stay."""

import pytest
from corpusmill.stages.engines import chat
from corpusmill.stages.engines.reasoning import without_reasoning

from tests.stages.engines import tiny_model

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
        *("longcat_think", "cot", "chain_of_thought", "rationale", "inner_monologue"),
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


@pytest.mark.parametrize("notation", REASONED)
def test_the_answer_behind_the_reasoning_stays(notation):
    assert (without_reasoning(REASONED[notation]) or "").strip() == ANSWER


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
    ],
)
def test_reasoning_without_an_answer_is_none(text):
    assert without_reasoning(text) is None


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
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
    ],
)
def test_other_answers_stay_as_they_are(text):
    assert without_reasoning(text) == text


def test_a_decoded_answer_keeps_special_tokens_that_mark_reasoning(tmp_path):
    import transformers

    folder = tiny_model.save_tokenizer(tmp_path)
    hugging_face = transformers.AutoTokenizer.from_pretrained(folder)
    hugging_face.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    hugging_face.save_pretrained(folder)
    ids = hugging_face("[THINK]a river[/THINK]the sea</s>")["input_ids"]
    assert chat.load(str(folder)).decode(ids) == "[THINK]a river[/THINK]the sea"
