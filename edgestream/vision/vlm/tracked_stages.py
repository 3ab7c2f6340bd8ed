# SPDX-License-Identifier: Apache-2.0
"""A vision-language model that is asked when something happens to what is followed.

The teller of tracks says when there is something to tell, and of what. The model is shown that
part of the picture, is told what is known of it, and says it in its own words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import UsageError
from edgestream.events import Comment, Event
from edgestream.sources.picture import Picture
from edgestream.vision.governor import Cost
from edgestream.vision.stages import Seen, Unit, WritingCommentator
from edgestream.vision.tracked.follower import Follower
from edgestream.vision.vlm import facts
from edgestream.vision.vlm.answer import Answerer
from edgestream.vision.vlm.crops import Crops, Rgb
from edgestream.vision.vlm.stages import spoken, words
from edgestream.vision.vlm.tower import VisionTower, expect_aspect
from edgestream.vision.vlm.units import UnitTemplate


@dataclass(kw_only=True)
class VlmTrackCommentator(WritingCommentator):
    """A comment is the model's answer, or the teller's own sentence where no time is left.

    Fewer tokens and pictures can be had, and smaller parts of them where the tower takes any size.
    """

    follower: Follower  # -> comments in its own words
    crops: Crops  # -> what is shown of each
    tower: VisionTower  # -> rows [n, n_embd], maybe with places
    template: UnitTemplate  # -> a user's turn
    turn_after: Callable[[str, str], Sequence[int]]  # of (facts, question): tokens after a picture
    question: str  # that is asked about what happened
    tokenizer: Tokenizer  # -> text
    silence: str  # an answer that means nothing
    answerer: Answerer | None = None  # of layouts in which the memory is one stream

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What is followed in the newest picture."""
        return self.follower.seen

    def reset(self) -> None:
        """Back to an empty stream."""
        super().reset()
        for stage in (self.follower, self.crops, self.loop):
            stage.reset()

    def push(self, picture: Picture) -> list[Event]:
        """A picture to the comments that it brings; they have no staleness yet."""
        self._begin()
        self.counts.pictures += 1
        try:
            expect_aspect(picture.rgb)
        except ValueError as error:
            raise UsageError(str(error)) from None
        told = self.follower.push(picture)
        if self.follower.looked:
            self.crops.push(picture.rgb, self.follower.looked)
        self.cost = Cost(read_ms=self._passed_ms())
        return self._ask_in_turn(told)

    def ask(self, question: str) -> Callable[[], str]:
        """Forks what was seen and said, and shows the newest picture; the call gives the answer."""
        if self.answerer is None:
            raise UsageError("only the layout interleaved can be asked")
        rgb, looked = self.crops.newest, self.follower.looked
        if rgb is None or looked is None:
            return self.answerer.ask(question)
        after = self.turn_after(facts.of_view(self.follower.present, looked), question)
        return self.answerer.ask(question, lambda: self.template.whole(self.tower.push(rgb), after))

    def interrupt(self) -> list[Event]:
        """What is held is said; what was said before is still remembered."""
        return self._ask_unhurried(self.follower.interrupt())

    def finish(self) -> list[Event]:
        """What is held is said."""
        return self._ask_unhurried(self.follower.finish())

    def _ask_unhurried(self, told: list[Comment]) -> list[Event]:
        self._begin()
        self._left_ms = math.inf
        return self._ask_in_turn(told)

    def _ask_in_turn(self, told: list[Comment]) -> list[Event]:
        """What the model says of each; in the teller's words what would come too late.

        It would if it took as long as the slowest one of this picture.
        """
        events: list[Event] = []
        slowest_ms = 0.0
        for comment in told:
            began_ms = self._passed_ms()
            if began_ms + slowest_ms >= self._left_ms:
                events.append(comment)
                continue
            events += self._ask_about(comment)
            slowest_ms = max(slowest_ms, self._passed_ms() - began_ms)
        return events

    def _ask_about(self, comment: Comment) -> list[Event]:
        rgb, known = self._situation(comment)
        rows = self.tower.push(rgb, self._pace.picture_tokens if self._pace else None)
        self.counts.encoded += 1
        self.counts.rows += len(rows.embeddings)
        self.counts.entered += len(rows.embeddings)
        after = self.turn_after(known, self.question)
        text, stopped = self._answer(self.template.whole(rows, after))
        if stopped and not words(text):
            return [comment]
        said = spoken(text, self.silence, stopped=stopped)
        if not said:
            return []
        return [Comment.of(said, comment.picture_ms, comment.happening, comment.start_ms)]

    def _situation(self, comment: Comment) -> tuple[Rgb, str]:
        """What is shown of a comment's happening, and what is told of it."""
        happening = comment.happening
        alone = happening is not None and happening.count == 1
        crop = self.crops.of(happening.track if happening and alone else None)
        number = crop.track.number if crop else None
        others = [track for track in self.follower.present if track.number != number]
        shown = crop.rgb if crop else self.crops.newest
        assert shown is not None, "a comment before the first picture"
        known = self.follower.looked is not None
        return shown, facts.of_happening(comment, crop, others if known else None)

    def _answer(self, unit: Unit) -> tuple[str, bool]:
        """What the model says to a turn, and whether a limit stopped it."""
        tokens, stopped = self._turn(unit), self.loop.cut_off
        self.loop.cut_turn()  # the next one is about something else
        return " ".join(self.tokenizer.decode(tokens).split()), stopped
