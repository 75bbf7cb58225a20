"""Colours and type: slate and indigo, system fonts, nothing fetched from anywhere."""

from pathlib import Path

import gradio as gr

# Of an installed package, inside it; of a checkout, beside it.
_INSTALLED = Path(__file__).with_name("assets")
ASSETS = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / "assets"
STYLES = sorted(ASSETS.glob("*.css"))  # style.css for the whole page, the others for a tab each
SANS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "Cantarell",
    "Helvetica",
    "sans-serif",
)
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono", "monospace")


def theme() -> gr.themes.Base:
    """The page's Gradio theme, light and dark."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="#f4f5f8",
        body_background_fill_dark="#10141b",
        body_text_color="#1d2530",
        body_text_color_dark="#e7ebf1",
        body_text_color_subdued="#566173",
        body_text_color_subdued_dark="#a3aebd",
        block_background_fill="#ffffff",
        block_background_fill_dark="#191f29",
        block_border_width="1px",
        block_border_color="#dde1e8",
        block_border_color_dark="#2b3442",
        block_label_background_fill="#ffffff",
        block_label_background_fill_dark="#191f29",
        block_label_text_color="#3d4858",
        block_label_text_color_dark="#c4ccd8",
        block_shadow="0 1px 2px rgba(20, 30, 50, 0.05)",
        block_shadow_dark="none",
    )
