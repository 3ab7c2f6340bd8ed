# SPDX-License-Identifier: Apache-2.0
"""Boxes and names of what is followed, over the picture in the window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgestream.outlets.boxes import OUTLINE, colour_of, line_px, name_of, text_px

if TYPE_CHECKING:
    import pygame

    from edgestream.vision.stages import Seen


def draw_boxes(area: pygame.Surface, seen: Sequence[Seen], scale: float) -> None:
    """Draws each thing's box into `area`, which shows the picture `scale` times as large.

    A bright line between two dark ones is seen on any picture; a name is black on its own ground.
    """
    import pygame

    if not seen:
        return
    width, height = area.get_size()
    line, font = line_px(width, height), pygame.font.Font(None, round(1.4 * text_px(width, height)))
    for thing in seen:
        left, top, right, bottom = (round(scale * edge) for edge in thing.box)
        box, colour = pygame.Rect(left, top, right - left, bottom - top), colour_of(thing.track)
        pygame.draw.rect(area, OUTLINE, box.inflate(2 * line, 2 * line), 3 * line)
        pygame.draw.rect(area, colour, box, line)
        name = font.render(f" {name_of(thing.label, thing.colour)} ", True, OUTLINE, colour)
        at = name.get_rect(left=left, bottom=top)
        area.blit(name, at.clamp(area.get_rect()))
