"""What a person would see at once in a picture: words that leave it, or cover one another."""

from collections.abc import Mapping
from typing import Any

import pytest
from matplotlib.text import Text

from helpers.plots.picture import Picture


def drawn_texts(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> list[Text]:
    """The texts that really reach the paper; matplotlib keeps others, such as ticks outside the axis."""
    seen: list[Text] = []
    original = Text.draw

    def draw(self: Text, renderer: Any) -> None:
        if self.get_text().strip() and self.get_visible():
            seen.append(self)
        original(self, renderer)

    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", draw)
        picture.canvas.draw()
    return seen


def label_faults(gallery: Mapping[str, Picture], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that leave their picture or cover others; the large "first look" behind it all may."""
    faults = []
    for name, picture in gallery.items():
        drawn = [text for text in drawn_texts(picture, monkeypatch) if text.get_text() != "first look"]
        boxes = [(text.get_text(), text.get_window_extent()) for text in drawn]
        for i, (text, box) in enumerate(boxes):
            if box.x0 < -1 or box.y0 < -1 or box.x1 > picture.bbox.x1 + 1 or box.y1 > picture.bbox.y1 + 1:
                faults.append(f"{name}: {text!r} leaves the picture")
            for other, its in boxes[:i]:
                wide, high = min(box.x1, its.x1) - max(box.x0, its.x0), min(box.y1, its.y1) - max(box.y0, its.y0)
                if wide > 2 and high > 4:
                    faults.append(f"{name}: {text!r} covers {other!r}")
    return faults
