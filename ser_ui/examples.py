"""Recordings to try the page with: two actors of CREMA-D, see assets/examples/README.md."""

from urllib.parse import quote

from ser_ui.layout import html, script, template
from ser_ui.theme import ASSETS

FOLDER = ASSETS / "examples"
NAMES = ("woman", "man", "conversation")  # FOLDER/NAME.ogg; what it is called is the phrase "examples.NAME"


def build() -> None:
    """A button for each; pressed, it is analysed at once."""
    html(
        html_template=template("examples/examples"),
        elem_id="examples",
        js_on_load=script("shared/words", "shared/files", "examples/examples"),
        examples=[
            {
                "name": name,
                "file": f"{name}.ogg",
                "audio": f"gradio_api/file={quote(str(FOLDER / name))}.ogg",
            }
            for name in NAMES
        ],
    )
