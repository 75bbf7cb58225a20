"""The page's phrases: assets/words/LANGUAGE.json, one file a language, all with the same keys.

Gradio chooses the language that the browser lists first and adds these phrases to its own; the scripts in
assets/ read them there. Answers of the server use the same language: `for_request` finds it in the request's
headers. Emotions have a name in each language; files and answers to programs keep the English labels.

Messages of `ser_core` (why a file cannot be read, what is wrong with a recording) are English. Their
translations are in library.LANGUAGE.json, by kind and code.
"""

import json
from collections.abc import Mapping

import gradio as gr
from gradio.i18n import I18nData

from ser_core.errors import CodedError
from ser_ui.theme import ASSETS

FOLDER = ASSETS / "words"
ENGLISH = "en"
LIBRARY = "library."  # prefix of the keys of the library's messages


class Phrases:
    """The page's phrases in one language; a call fills in a phrase.

    >>> PHRASES["de"]("verdict.sure", emotion="Wütend", share=PHRASES["de"].percent(0.912))
    'Wütend — zu 91\N{NO-BREAK SPACE}% sicher'
    """

    def __init__(self, language: str, words: Mapping[str, str]) -> None:
        self.language = language  # ISO 639-1
        self.words = words

    def __call__(self, key: str, **values: object) -> str:
        """The phrase `key` as plain text, its placeholders replaced by `values`. Raises KeyError."""
        return self.words[key].format(**values)

    def known(self, key: str, otherwise: str) -> str:
        """The phrase `key`, or `otherwise` if there is none. For keys that come from data."""
        return self.words.get(key, otherwise)

    def emotion(self, label: str) -> str:
        """The name of an emotion label."""
        return self.known(f"emotion.{label}", label)

    def percent(self, share: float, digits: int = 0) -> str:
        """`share`, 0 to 1, in per cent."""
        return self("number.percent", number=self.number(100 * share, digits))

    def number(self, value: float, digits: int) -> str:
        """`value` with `digits` digits after the decimal point.

        >>> PHRASES["en"].number(3.3, 1), PHRASES["de"].number(3.3, 1)
        ('3.3', '3,3')
        """
        return f"{value:.{digits}f}".replace(".", self("number.point"))

    def error(self, error: CodedError) -> str:
        """The message of `error`: what happened and what to do."""
        kind = type(error).__name__.removesuffix("Error").lower()
        return self.known(f"{LIBRARY}{kind}.{error.code}", error.message)

    def warning(self, warning: str) -> str:
        """The message of a warning of `ser_core.audio.quality`: `NAME: text`, where NAME is the fault."""
        return self.known(f"{LIBRARY}warning.{warning.partition(':')[0]}", warning)


def _read(language: str) -> Phrases:
    words = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    path = FOLDER / f"library.{language}.json"
    library = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return Phrases(language, words | {LIBRARY + key: text for key, text in library.items()})


LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.startswith(LIBRARY))
PHRASES = {language: _read(language) for language in LANGUAGES}


def for_request(request: gr.Request | None) -> Phrases:
    """The phrases in the language of the browser that sent `request`; English without a request."""
    return for_headers(request.headers if request else {})


def for_headers(headers: Mapping[str, str]) -> Phrases:
    """The phrases in the language that `headers` list first; English if the page does not have it."""
    language = headers.get("accept-language", "").partition(",")[0].partition("-")[0].strip().lower()
    return PHRASES.get(language, PHRASES[ENGLISH])


def key(name: str) -> I18nData:
    """A reference to the phrase `name`, for a label or value that the browser fills in."""
    return I18nData(name)


def translations(texts: Mapping[str, Mapping[str, str]]) -> gr.I18n:
    """All phrases for Gradio, together with `texts`: HTML made for this page, by language and key."""
    return gr.I18n(
        **{
            language: dict(phrases.words) | {name: _literal(html) for name, html in texts[language].items()}
            for language, phrases in PHRASES.items()
        }
    )


def _literal(html: str) -> str:
    """`html` with its braces escaped, so that Gradio finds no placeholders in it."""
    return html.replace("{", "&#123;").replace("}", "&#125;")
