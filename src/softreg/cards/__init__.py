"""Model cards: what a model file says of its model, in Markdown.

The package may import `tables`, `report` and below. Each section of a card has a file; a new section is added to
`render_card`.
"""

from softreg.cards.example_row import example_row
from softreg.cards.render_card import model_card

__all__ = ["example_row", "model_card"]
