# SPDX-License-Identifier: Apache-2.0
"""Pieces of chat templates, put together, are what llama.cpp's own renderer makes."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from llama_chat import rendered
from llama_cpp import llama_chat_format

from edgestream.reader.chat_pieces import ChatPieces, pieces_of
from edgestream.reader.template_process import UnusableTemplateError

TEMPLATES = Path(__file__).resolve().parents[1] / "data" / "chat"
BOS, EOS = "<s>", "</s>"
SYSTEM = "You read along."
USERS = ("Who spoke first?", "And then?", "Why 3.5, of 4?")
ANSWERS = ("Ann did.", "Ben: not for long!")


@dataclass(frozen=True)
class Family:
    """How llama.cpp names a format, and what its renderer leaves to others."""

    name: str
    bos: str = ""  # the tokenizer's to add
    system: str = "{}"  # what the template puts around a system text
    thought: str = ""  # before each answer
    answer_space: str = ""  # llama.cpp's own, which the model writes anyway


TODAY = datetime.now()
LLAMA_DATES = f"Cutting Knowledge Date: December 2023\nToday Date: {TODAY:%d %b %Y}\n\n{{}}"
SMOL_DATES = (
    f"## Metadata\n\nKnowledge Cutoff Date: June 2025\nToday Date: {TODAY:%d %B %Y}\n"
    "Reasoning Mode: /no_think\n\n## Custom Instructions\n\n{}\n\n"
)
FAMILIES = {
    "qwen2.5": Family("chatml"),
    "qwen3": Family("chatml", thought="<think>\n\n</think>\n\n"),
    "llama3.2": Family("llama3", BOS, LLAMA_DATES),
    "smollm2": Family("chatml"),
    "smollm3": Family("chatml", system=SMOL_DATES, thought="<think>\n\n</think>\n"),
    "gemma3": Family("gemma", BOS),
    "gemma2": Family("gemma", BOS),
    "mistral-nemo": Family("mistral-v3-tekken", BOS),
    "mistral-v7": Family("mistral-v7-tekken", BOS),
    # The templates that come with llama-cpp-python, as their models' makers wrote them.
    "CHATML_CHAT_TEMPLATE": Family("chatml"),
    "LLAMA3_INSTRUCT_CHAT_TEMPLATE": Family("llama3", BOS),
    "MISTRAL_INSTRUCT_CHAT_TEMPLATE": Family("mistral-v1", BOS, answer_space=" "),
}


def template_of(name):
    if name.isupper():
        return getattr(llama_chat_format, name)
    return (TEMPLATES / f"{name}.jinja").read_text("utf-8")


def joined(pieces: ChatPieces, system, users, answers):
    """A conversation as it stands in memory after each piece was read in turn."""
    begin = f"{pieces.before_system}{system}{pieces.after_system}" if system else pieces.no_system
    text = begin
    for user, answer in zip(users, answers, strict=False):
        text += user + pieces.open_answer + answer + pieces.close_answer
    return text + users[-1] + pieces.open_answer


def turns(system, users, answers):
    told = [("system", system)] if system else []
    for i, user in enumerate(users):
        told.append(("user", user))
        told += [("assistant", text) for text in answers[i : i + 1]]
    return told


@pytest.mark.parametrize("name", FAMILIES)
def test_pieces_make_what_llama_cpp_renders(name):
    family, pieces = FAMILIES[name], pieces_of(template_of(name), BOS, EOS)
    system, users, answers = family.system.format(SYSTEM), USERS, ANSWERS
    known = [family.thought + answer for answer in answers]
    expected = rendered(family.name, turns(system, users, known)) + family.thought
    ours = joined(pieces, SYSTEM, users, [family.answer_space + answer for answer in answers])
    assert ours.strip() == (family.bos + expected.strip()).strip()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_conversation_may_have_no_system_text(name):
    family, pieces = FAMILIES[name], pieces_of(template_of(name), BOS, EOS)
    without = rendered(family.name, turns("", USERS[:1], []))
    ours = joined(pieces, "", USERS[:1], [])
    assert ours.endswith(without.lstrip() + family.thought)  # some have a system text of their own


def test_a_system_text_that_moves_along_stays_in_the_first_turn():
    pieces = pieces_of(template_of("mistral-nemo"), BOS, EOS)
    text = joined(pieces, "S", ["U", "V"], ["A"])
    assert text == "<s>[INST]S\n\nU[/INST]A</s>[INST]V[/INST]"


def test_a_refused_system_text_is_the_users():
    pieces = pieces_of(template_of("gemma2"), BOS, EOS)
    assert joined(pieces, "S", ["U"], []).count("<start_of_turn>user\nS\n\nU<end_of_turn>") == 1


def test_a_template_that_wants_a_system_text_has_one_without():
    template = (
        "{% if messages[0].role != 'system' %}{{ raise_exception('none') }}{% endif %}"
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
    )
    pieces = pieces_of(template, BOS, EOS)
    assert joined(pieces, "", ["U"], []) == "<system><user>U<assistant>"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("nothing", "leaves out or repeats"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", "repeats"),
        ("{% for m in messages | reverse %}{{ m.content }}{% endfor %}", "leaves out or repeats"),
        (
            "{% for m in messages %}[{{ loop.index }}] {{ m.content }}{% endfor %}",
            "does not put the same texts around each turn",
        ),
        (
            "{% for m in messages %}{{ m.content|length }} {{ m.content }}{% endfor %}",
            "does not put the same texts",
        ),
        ("{% for m in messages %}{{ m.content.upper() }}{% endfor %}", "leaves out or repeats"),
    ],
)
def test_a_template_without_such_pieces_is_refused(template, reason):
    with pytest.raises(UnusableTemplateError, match=reason):
        pieces_of(template, BOS, EOS)
