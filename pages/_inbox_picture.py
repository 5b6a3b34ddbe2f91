"""An image with its heat map laid over it, as HTML."""

from html import escape


def picture_html(image_url: str, heat_url: str = "") -> str:
    """Both pictures in one place, as wide as there is room; addresses are of the app's routes."""
    over = (
        f'<img src="{escape(heat_url)}" alt="where the model looked" '
        'style="position:absolute;inset:0;width:100%;height:100%">'
        if heat_url
        else ""
    )
    return (
        '<div style="position:relative;line-height:0">'
        f'<img src="{escape(image_url)}" alt="the image" '
        'style="width:100%;border-radius:var(--st-base-radius)">'
        f"{over}</div>"
    )
