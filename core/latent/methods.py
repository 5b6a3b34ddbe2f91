"""What can be set about a method, said once for the check of a config and for a page's widgets."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method: a number in a range, or one of some choices.

    Attributes:
        name: the field of the method's config.
        title: what a page calls it.
        default: the value where none is given; its type is the parameter's type.
        explanation: one line on what changes with it.
        minimum: smallest number allowed, inclusive.
        maximum: largest number allowed, inclusive.
        step: a widget's step; the check does not round to it.
        choices: the words allowed, for a parameter that is no number.
    """

    name: str
    title: str
    default: float | int | str
    explanation: str
    minimum: float = -math.inf
    maximum: float = math.inf
    step: float = 1
    choices: tuple[str, ...] = ()

    def check(self, value: object) -> None:
        """Refuse a value of the wrong type or out of range.

        Raises:
            ValueError: names the parameter, the value and what is allowed.
        """
        if self.choices:
            if value not in self.choices:
                allowed = ", ".join(self.choices)
                raise ValueError(f"{self.name} must be one of {allowed}, got {value!r}")
            return
        whole = isinstance(self.default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{self.name} must be {kind}, got {value!r}")
        if not self.minimum <= value <= self.maximum:
            raise ValueError(
                f"{self.name} must lie in [{self.minimum:g}, {self.maximum:g}], got {value!r}"
            )
