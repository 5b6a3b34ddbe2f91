"""Is the app readable in light and dark, and do charts have the colours of the maps?"""

import tomllib

import pytest

from core.palette import CLASS_COLOURS
from core.settings import PROJECT_ROOT

CONFIG = tomllib.loads((PROJECT_ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
THEME = CONFIG["theme"]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two "#rrggbb" colours, from 1 to 21, as WCAG 2.2 defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def grounds(mode: str) -> list[str]:
    """Every colour that text stands upon."""
    tables = (THEME[mode], THEME[mode]["sidebar"])
    names = ("backgroundColor", "secondaryBackgroundColor")
    return [table[name] for table in tables for name in names]


def test_contrast_runs_from_one_to_twenty_one() -> None:
    assert contrast("#777777", "#777777") == 1
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_links_are_readable_on_every_ground(mode: str) -> None:
    for ground in grounds(mode):
        assert contrast(THEME[mode]["textColor"], ground) >= 7
        assert contrast(THEME[mode]["linkColor"], ground) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_primary_button_is_readable_and_stands_out(mode: str) -> None:
    assert contrast("#ffffff", THEME[mode]["primaryColor"]) >= 4.5
    for ground in grounds(mode):
        assert contrast(THEME[mode]["primaryColor"], ground) >= 3


def test_charts_have_the_colours_of_the_maps() -> None:
    assert tuple(THEME["chartCategoricalColors"]) == CLASS_COLOURS
    assert len(THEME["chartSequentialColors"]) == 10  # Streamlit passes over any other number


def test_the_app_serves_this_machine_alone_and_reports_to_nobody() -> None:
    assert CONFIG["server"]["address"] == "localhost"
    assert CONFIG["browser"]["gatherUsageStats"] is False
