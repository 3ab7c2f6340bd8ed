# SPDX-License-Identifier: Apache-2.0
"""What a base model is shown first: it follows examples, not orders."""

from __future__ import annotations

TALK = (
    " Good morning. The bus leaves at ten, and Tom has the tickets.\n"
    " Should we take lunch with us?\n"
    " Yes, Mary brings bread and apples.\n"
)
# As `Chat.question` asks a base model.
ANSWERS = (
    ("When does the bus leave?", "The bus leaves at ten."),
    ("Say in a few words what this means: Yes, Mary brings bread and apples.",
     "Mary takes care of lunch."),
    ("What was decided so far? Write short notes.",
     "The bus leaves at ten. Tom has the tickets. Mary brings lunch."),
)  # fmt: skip


def with_example(prompt: str, opening: str) -> str:
    """The prompt, and a short talk with questions and answers; the next talk is the real one."""
    asked = "".join(f"\n\nQuestion: {question}\nAnswer: {answer}" for question, answer in ANSWERS)
    return f"{prompt}\n\n{opening}{TALK.rstrip()}{asked}"
