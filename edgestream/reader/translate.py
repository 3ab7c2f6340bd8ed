# SPDX-License-Identifier: Apache-2.0
"""Simultaneous translation of what is read."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream.errors import UsageError
from edgestream.policy import AlignAtt, ChosenPolicy, LocalAgreement, Policy, choose_policy
from edgestream.reader.model import ReaderModel
from edgestream.reader.translation.conversation import in_turn, side_by_side
from edgestream.reader.translation.languages import language_code
from edgestream.reader.translation.phrasing import phrase
from edgestream.reader.translation.reencoded import ReencodedTranslator
from edgestream.reader.translation.setting import (
    GROUPED,
    INTERLEAVED,
    LAYOUTS,
    REENCODED,
    Setting,
    uses,
)
from edgestream.reader.translation.stage import TranslationStage, Translator
from edgestream.reader.translation.trained import first_token, trained
from edgestream.reader.translation.words import word_beginnings

SOURCE = "en"
POLICY = {REENCODED: "local-agreement:2", GROUPED: "wait-k:3", INTERLEAVED: "wait-k:3"}


class Translate:
    """Translates what is read, sentence by sentence, while it is spoken.

    An example: `es.read(es.listen("talk.wav"), model="qwen.gguf", task=es.Translate("fr"))`.

    With each word comes a TranslationDraft, whose first `n_final` characters stay, and at the end
    of each sentence a Translation.
    """

    def __init__(
        self,
        language: str,
        policy: str | Policy | None = None,
        *,
        source: str = SOURCE,
        layout: str | None = None,
        attention_layers: Sequence[int] | None = None,
    ) -> None:
        """Args:
            language: into which, a code as `fr`, or its English name.
            policy: how much of a translation is committed before its sentence is over:
                `local-agreement:2`, `wait-k:3`, `alignatt:2`, some of these with + (all must agree)
                and | (one will do), or a Policy; None: the layout's usual one.
            source: out of which language.
            layout: `reencoded` (for any LLM: the sentence so far is translated anew for each word),
                `grouped` or `interleaved` (for models that were trained for it: what was read and
                written is never computed again); None: what the model was trained for.
            attention_layers: that `alignatt` looks at; None: those that usually tell most.

        Raises UsageError on a language, policy or layout that is not known.
        """
        self.language, self.source = language_code(language), language_code(source)
        if self.language == self.source:
            raise UsageError(f"translate: from {source} into {language}: nothing would change")
        if layout is not None and layout not in LAYOUTS:
            raise UsageError(f"translate: layout {layout!r:.40}: try {', '.join(LAYOUTS)}")
        self.layout, self.policy = layout, policy
        self._policy(layout or REENCODED)  # refuses what is not known
        self._attention_layers = attention_layers

    def stage(self, model: ReaderModel | None, *, beside: bool, n_threads: int) -> TranslationStage:
        """As a Reader wants it; raises UsageError on what does not fit the model."""
        if model is None:
            raise UsageError("translate: needs a model that reads along; give a GGUF file")
        translator = self._translator(model, n_threads)
        return TranslationStage(translator, self.language, beside=beside)

    def _translator(self, model: ReaderModel, n_threads: int) -> Translator:
        firsts = ((layout, first_token(model, layout)) for layout in LAYOUTS)
        known = {layout: token for layout, token in firsts if token is not None}
        layout = self.layout or next(iter(known), REENCODED)
        if known and layout not in known:
            raise UsageError(
                f"translate: {model.path.name} was trained for the layouts {', '.join(known)};"
                f" not for {layout}"
            )
        setting = self._setting(model, layout, bool(known), n_threads)
        if known:
            return trained(setting, layout, known[layout])
        phrasing = phrase(model.chat, model.tokenizer, self.source, self.language)
        if layout == GROUPED:
            return side_by_side(setting, phrasing)
        if layout == INTERLEAVED:
            return in_turn(setting, phrasing)
        return ReencodedTranslator(setting, phrasing)

    def _policy(self, layout: str) -> ChosenPolicy:
        given = self.policy or POLICY[layout]
        return choose_policy(given, "translate", named=True, of_words=True)

    def _setting(
        self, model: ReaderModel, layout: str, is_trained: bool, n_threads: int
    ) -> Setting:
        policy = self._policy(layout)
        if layout != REENCODED and uses(policy, LocalAgreement):
            raise UsageError(
                f"translate: local agreement compares translations, and the layout {layout} has"
                " but one; take wait-k:3 or alignatt:2"
            )
        begins = word_beginnings(model.weights, self.language)
        return Setting(model, policy, begins, self._layers(model, policy, is_trained), n_threads)

    def _layers(self, model: ReaderModel, policy: ChosenPolicy, is_trained: bool) -> list[int]:
        """Of a trained model the layer behind the middle, which was trained to look at the source.
        Of others the middle third: first layers look at neighbours, last ones at what follows."""
        if self._attention_layers is not None:
            return list(self._attention_layers)
        n = model.weights.n_layers
        if not uses(policy, AlignAtt):
            return []
        return [n // 2] if is_trained else list(range(n // 3, max(n // 3 + 1, 2 * n // 3)))
