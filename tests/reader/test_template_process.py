# SPDX-License-Identifier: Apache-2.0
"""Templates from anywhere: what they may not do ends in one line."""

import re

import pytest

from edgestream.reader import template_process
from edgestream.reader.template_process import UnusableTemplateError, render

TALK = [{"role": "user", "content": "Hello"}]


def outcome(template):
    """The text, or why there is none."""
    try:
        (only,) = render(template, [TALK], "<s>", "</s>")
    except UnusableTemplateError as error:
        return str(error)
    return str(only)


def test_what_templates_of_models_use_is_there():
    assert outcome("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}") == "<s>Hello</s>"
    assert outcome("{{ enable_thinking }}{{ add_generation_prompt }}") == "FalseTrue"
    assert outcome("{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}")
    assert outcome("{% generation %}a{{ 1 }}{% endgeneration %}") == "a1"
    assert len(outcome("{{ strftime_now('%Y') }}")) == 4
    assert outcome("  {% if true %}\n  x\n  {% endif %}\n") == "  x\n"  # as transformers trims


HOSTILE = {
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}": "more than",
    "{{ 10 ** (10 ** 10) }}": "more than",
    "{{ 'a' * 10 ** 10 }}": "MemoryError",
    "{{ '%0999999999999d' % 1 }}": "fails",
    "{{ 'a' * 10 ** 7 }}": "makes more than 65536 characters",
    "{% for i in range(90000) %}aaaaaaaaaa{% endfor %}": "makes more than 65536 characters",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "recursion",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}": "unsafe|access",
    "{{ messages.__class__.x }}": "unsafe|access",
    "{{ messages.append(1) }}": "not safe|unsafe|access",
    "{{ raise_exception.__globals__.x }}": "unsafe|access",
    "{{ strftime_now.__self__.__class__.x }}": "unsafe|access",
    "{% include '/etc/passwd' %}": "no loader",
    "{% import 'os' as os %}{{ os.getcwd() }}": "no loader",
    "{{ cycler.__init__.__globals__.os.system('true') }}": "unsafe|access",
    "{% for m in messages %}": "Unexpected end of template",
    "{{ 1 / 0 }}": "division by zero",
    "{{ raise_exception('no\nsuch role') }}": "no",
    "{{ nothing.at.all }}": "undefined",
    "{{ range(10 ** 9) }}": "[Rr]ange too big",
    "(" * 9000 + "{{" + "(" * 9000: "fails|breaks",
    "{{" + "[" * 90000 + "]" * 90000 + "}}": "fails|breaks",
    "x" * ((1 << 20) + 1): "has 1048577 characters; at most 1048576",
}


@pytest.mark.parametrize("template", HOSTILE, ids=lambda text: text[:40])
def test_a_hostile_template_is_told_why_it_is_refused(template):
    reason = outcome(template)
    assert re.search(HOSTILE[template], reason), reason
    assert len(reason) < 300


def test_a_process_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(template_process, "LONGEST_WAIT_S", 0.01)
    assert outcome("{{ 1 }}") == "takes longer than 0.01 s"


@pytest.mark.parametrize("name", ["json", "datetime", "jinja2", "edgestream", "sitecustomize"])
def test_modules_of_the_current_folder_are_not_run(name, tmp_path, monkeypatch):
    (tmp_path / f"{name}.py").write_text("open('was-run', 'w').close()\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    assert outcome("{{ 1 }}") == "1"
    assert not (tmp_path / "was-run").exists()
