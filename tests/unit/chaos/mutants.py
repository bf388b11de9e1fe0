"""A mutant: one broken promise, planted into a good history, and what has to find it.

It changes as little as a real fault would, and its function returns an id that the evidence has to
name. No other invariant than the one beside it may be found broken.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.unit.chaos.edits import Edit

Plant = Callable[[Edit], str]


@dataclass(frozen=True)
class Mutant:
    """A fault of the product, as it would stand in a history."""

    invariant: str
    rule: str
    plant: Plant


class Mutants(dict[str, Mutant]):
    """Mutants by the names of the functions that plant them."""

    def of(self, invariant: str, rule: str) -> Callable[[Plant], Plant]:
        """Take in the function below."""

        def take(plant: Plant) -> Plant:
            self[plant.__name__] = Mutant(invariant, rule, plant)
            return plant

        return take
