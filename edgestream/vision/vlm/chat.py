# SPDX-License-Identifier: Apache-2.0
"""The chat templates of vision-language models as pieces around pictures and comments."""

from __future__ import annotations

from dataclasses import dataclass

from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import ModelError

IM_START, IM_END, END_OF_UTTERANCE = "<|im_start|>", "<|im_end|>", "<end_of_utterance>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE_EDGE, GLOBAL_IMAGE = "<fake_token_around_image>", "<global-img>"


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A template's texts. Only `{}` is filled in, with text that cannot name special tokens.

    Sources: the chat templates of HuggingFaceTB/SmolVLM2 (one picture, not cut up), Qwen/Qwen2.5-VL
    and Qwen/Qwen3-VL.
    """

    prompt: str
    before_picture: str
    after_picture: str
    question: str
    asked: str  # a whole turn with a question and no picture
    end_of_question: str
    answer: str
    end_of_answer: str  # one token
    after_answer: str
    special: tuple[str, ...]  # that must be tokens of their own


CHATML = ChatTemplate(
    prompt=f"{IM_START}system\n{{}}{IM_END}\n",
    before_picture=f"{IM_START}user\n{VISION_START}",
    after_picture=VISION_END,
    question="{}",
    asked=f"{IM_START}user\n{{}}{IM_END}\n{IM_START}assistant\n",
    end_of_question=f"{IM_END}\n",
    answer=f"{IM_START}assistant\n",
    end_of_answer=IM_END,
    after_answer="\n",
    special=(IM_START, IM_END, VISION_START, VISION_END),
)
SMOLVLM = ChatTemplate(
    prompt=f"{IM_START}System: {{}}{END_OF_UTTERANCE}\n",
    before_picture=f"User:{IMAGE_EDGE}{GLOBAL_IMAGE}",
    after_picture=IMAGE_EDGE,
    question="{}",
    asked=f"User: {{}}{END_OF_UTTERANCE}\nAssistant:",
    end_of_question=f"{END_OF_UTTERANCE}\n",
    answer="Assistant:",
    end_of_answer=END_OF_UTTERANCE,
    after_answer="\n",
    special=(IM_START, END_OF_UTTERANCE, IMAGE_EDGE, GLOBAL_IMAGE),
)
MAX_FACTS = 256  # tokens: however long a name is, most of the memory stays
TEMPLATES = {"idefics3": SMOLVLM, "qwen2.5vl_merger": CHATML, "qwen3vl_merger": CHATML}


@dataclass(frozen=True, slots=True)
class ChatTurns:
    """A template as tokens of one vocabulary, with prompt and question filled in.

    A stream is: prompt, then for each picture `before_picture`, its rows, `after_picture` (the
    question and the end of that turn in it), `answer`, the comment, one of `ends`, `after_answer`.
    """

    prompt: tuple[int, ...]
    before_picture: tuple[int, ...]
    after_picture: tuple[int, ...]
    answer: tuple[int, ...]
    ends: tuple[int, ...]
    after_answer: tuple[int, ...]


def chat_turns(projector: str, tokenizer: Tokenizer, prompt: str, question: str) -> ChatTurns:
    """The turns of the family with this kind of vision tower.

    Raises:
        ModelError: the vocabulary is not of this family.
    """
    template = TEMPLATES[projector]
    for text in template.special:
        if len(tokenizer.encode(text, add_special=False, special=True)) != 1:
            raise ModelError(
                f"{tokenizer.path}: its vocabulary has no token {text}; a decoder of another family"
                f" than the vision tower's ({projector})"
            )

    def tokens(text: str, filled_in: str = "") -> tuple[int, ...]:
        return _filled(tokenizer, text, filled_in)

    end = tokens(template.end_of_answer)
    return ChatTurns(
        prompt=(*tokenizer.first_tokens(tokens(template.prompt, prompt)),),
        before_picture=tokens(template.before_picture),
        after_picture=after_picture(projector, tokenizer, "", question),
        answer=tokens(template.answer),
        ends=(*end, *(token for token in tokenizer.end_tokens() if token not in end)),
        after_answer=tokens(template.after_answer),
    )


def after_picture(
    projector: str, tokenizer: Tokenizer, facts: str, question: str
) -> tuple[int, ...]:
    """What follows a picture's rows: the facts in words, of which MAX_FACTS tokens count, then the
    question, and the end of that turn."""
    template = TEMPLATES[projector]
    return (
        *_filled(tokenizer, template.after_picture, ""),
        *_filled(tokenizer, template.question, f"{facts}\n" if facts else "")[:MAX_FACTS],
        *_filled(tokenizer, template.question, question),
        *_filled(tokenizer, template.end_of_question, ""),
    )


def question_turn(projector: str, tokenizer: Tokenizer, question: str) -> tuple[int, ...]:
    """A user's turn that asks, and the opening of the answer."""
    return _filled(tokenizer, TEMPLATES[projector].asked, question)


def _filled(tokenizer: Tokenizer, text: str, filled_in: str) -> tuple[int, ...]:
    before, _, after = text.partition("{}")
    space = " " if before.endswith(" ") and filled_in else ""  # a word's first letter, mostly
    return (
        *tokenizer.encode(before.removesuffix(space), add_special=False, special=True),
        *tokenizer.encode(space + filled_in, add_special=False),
        *tokenizer.encode(after, add_special=False, special=True),
    )
