"""The page's words: assets/words/LANGUAGE.json, a file a language, all with the same keys.

Gradio takes the language that the browser asks for first and puts our words beside its own; the scripts in
assets/ read them there. What the server says while the page runs is in the same language: `of` reads it from
the request. Emotions have names in each language; in files and in answers to programs they stay English.

What the library says (`ser_core`: why a file cannot be read, what is wrong with a recording) is English. For
other languages, library.LANGUAGE.json has it by kind and code.
"""

import json
from collections.abc import Mapping

import gradio as gr
from gradio.i18n import I18nData

from ser_core.errors import CodedError
from ser_ui.theme import ASSETS

FOLDER = ASSETS / "words"
ENGLISH = "en"
LIBRARY = "library."  # begins the keys of what the library says


class Phrases:
    """What the page says in one language.

    >>> PHRASES["de"]("verdict.sure", emotion="Wütend", share=PHRASES["de"].percent(0.912))
    'Wütend — zu 91\N{NO-BREAK SPACE}% sicher'
    """

    def __init__(self, language: str, words: Mapping[str, str]) -> None:
        self.language = language  # ISO 639-1
        self.words = words

    def __call__(self, key: str, **values: object) -> str:
        """The phrase with its places filled, as plain text."""
        return self.words[key].format(**values)

    def known(self, key: str, otherwise: str) -> str:
        """The phrase, or `otherwise` where there is none: for names that come from elsewhere."""
        return self.words.get(key, otherwise)

    def emotion(self, label: str) -> str:
        """What a label is called."""
        return self.known(f"emotion.{label}", label)

    def percent(self, share: float, digits: int = 0) -> str:
        """A share, 0 to 1, in per cent."""
        return self("number.percent", number=self.number(100 * share, digits))

    def number(self, value: float, digits: int) -> str:
        """A number with so many digits after the decimal point.

        >>> PHRASES["en"].number(3.3, 1), PHRASES["de"].number(3.3, 1)
        ('3.3', '3,3')
        """
        return f"{value:.{digits}f}".replace(".", self("number.point"))

    def error(self, error: CodedError) -> str:
        """What happened and what to do."""
        kind = type(error).__name__.removesuffix("Error").lower()
        return self.known(f"{LIBRARY}{kind}.{error.code}", error.message)

    def warning(self, warning: str) -> str:
        """A warning of `ser_core.audio.quality`, which begins with the fault's name and a colon."""
        return self.known(f"{LIBRARY}warning.{warning.partition(':')[0]}", warning)


def _read(language: str) -> Phrases:
    words = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    path = FOLDER / f"library.{language}.json"
    library = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return Phrases(language, words | {LIBRARY + key: words for key, words in library.items()})


LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.startswith(LIBRARY))
PHRASES = {language: _read(language) for language in LANGUAGES}


def of(request: gr.Request | None) -> Phrases:
    """What to say to who sent `request`."""
    return asked(request.headers if request else {})


def asked(headers: Mapping[str, str]) -> Phrases:
    """What to say to who sent `headers`: browsers ask for the page's language first."""
    language = headers.get("accept-language", "").partition(",")[0].partition("-")[0].strip().lower()
    return PHRASES.get(language, PHRASES[ENGLISH])


def key(name: str) -> I18nData:
    """The phrase `name` as a label or value that the browser fills in."""
    return I18nData(name)


def translations(pages: Mapping[str, Mapping[str, str]]) -> gr.I18n:
    """All words for Gradio, with longer ones made for this page: HTML by language and key."""
    return gr.I18n(
        **{
            language: dict(phrases.words) | {name: _literal(html) for name, html in pages[language].items()}
            for language, phrases in PHRASES.items()
        }
    )


def _literal(html: str) -> str:
    """`html` as a message that has no places to fill."""
    return html.replace("{", "&#123;").replace("}", "&#125;")
