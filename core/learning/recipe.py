"""With which recipe is a classifier trained? Plain data: pages read it without loading torch."""

from dataclasses import dataclass

MODES = {
    "full": "every layer",
    "last_block": "the last block and the head",
    "head": "the head alone",
}
SCHEDULES = {
    "constant": "the same rate throughout",
    "cosine": "falling to zero along half a cosine",
    "step": "a tenth of it after each third of the epochs",
}
CLASS_WEIGHTS = {
    "none": "every image counts the same",
    "balanced": "every class counts the same",
}
AUGMENTATIONS = {
    "horizontal_flip": "mirrored left to right, one image in two",
    "vertical_flip": "mirrored top to bottom, one image in two",
    "quarter_turns": "turned by 0, 90, 180 or 270 degrees",
    "shift_and_scale": "moved by up to 5% and scaled by up to 10%",
    "light": "brightness and contrast changed by up to 20%",
}
# Finitely many views of an image, whose frozen activations can all be computed beforehand.
CACHEABLE = ("horizontal_flip",)


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults are the paper's: section 4.2 and Table 2.

    Attributes:
        backbone: a name of the registry.
        mode: a key of `MODES`: which layers are trained.
        epochs: passes over the training images, at least 1.
        batch_size: images a step, at least 1.
        learning_rate: of stochastic gradient descent, above 0.
        momentum: in [0, 1).
        weight_decay: at least 0.
        schedule: a key of `SCHEDULES`: how the rate changes over the epochs.
        augmentations: keys of `AUGMENTATIONS`; `head` trains on features as they are, without any.
        class_weights: a key of `CLASS_WEIGHTS`: what the loss of an image counts.
        label_smoothing: share of the target that is spread over all classes, in [0, 1).
        patience: epochs without a better validation after which training ends; 0 trains them all.
        freeze_batch_norm: keep all batch normalisation in evaluation mode; steadier with few
            images a batch.
        seed: of the head, the order of images, augmentation and dropout.

    Raises:
        ValueError: a value is out of its range.

    Source:
        Almhaithawi et al. (2025), doi:10.3390/jimaging11020033.
    """

    backbone: str = "resnet50"
    mode: str = "full"
    epochs: int = 100
    batch_size: int = 8
    learning_rate: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "constant"
    augmentations: tuple[str, ...] = ("horizontal_flip",)
    class_weights: str = "none"
    label_smoothing: float = 0.0
    patience: int = 0
    freeze_batch_norm: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (
            ("mode", MODES),
            ("schedule", SCHEDULES),
            ("class_weights", CLASS_WEIGHTS),
        ):
            if getattr(self, name) not in known:
                value = getattr(self, name)
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        for augmentation in self.augmentations:
            if augmentation not in AUGMENTATIONS:
                known_names = ", ".join(AUGMENTATIONS)
                raise ValueError(f"augmentations must be among {known_names}, got {augmentation!r}")
        for name, minimum in (("epochs", 1), ("batch_size", 1), ("patience", 0), ("seed", 0)):
            if getattr(self, name) < minimum:
                raise ValueError(f"{name} must be at least {minimum}, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay}")
        for name in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")

    @property
    def applied_augmentations(self) -> tuple[str, ...]:
        """The augmentations that training in this mode makes use of, in the order of the list."""
        chosen = () if self.mode == "head" else self.augmentations
        return tuple(name for name in AUGMENTATIONS if name in chosen)

    @property
    def caches_activations(self) -> bool:
        """Whether what the frozen layers compute can be kept instead of computed every epoch."""
        return self.mode != "full" and set(self.applied_augmentations) <= set(CACHEABLE)


PAPER = Recipe()
PAPERS_BACKBONES = ("resnet50", "mobilenet_v2", "vgg16", "resnet34")  # of Table 2
