"""The page's phrases: the same keys in each language, none missing, none unused."""

import ast
import re

import gradio as gr
import pytest
from app_server import ROOT

from ser_core import errors
from ser_core.audio import quality
from ser_core.emotions import LABELS, NO_SPEECH, UNKNOWN
from ser_core.errors import AudioError
from ser_core.export import WRITERS
from ser_ui import page, words
from ser_ui.words import LIBRARY, PHRASES

# Errors whose messages the page translates: class or function, and the kind in the phrase's key.
TRANSLATED = {"AudioError": "audio", "LiveError": "live", "SocketError": "live", "_send_error": "live"}
TRANSLATED |= {"ExplainError": "explain", "CorrectionError": "correction"}
# Keys of HTML that is made from phrases, and is in no dictionary.
GENERATED = {
    f"page.{name}" for name in ("header", "notes", "welcome", "not_ready", "about", "models", "compare")
}
# How phrases are used in Python, in scripts and in templates; `{` begins a placeholder.
USED = re.compile(r"""(?:phrases?\(|key\(|known\(|data-say=|data-label=|\? )f?["'`]([a-z][\w.]*\.[\w.{$]+)""")


def sources() -> str:
    paths = [
        *(ROOT / "ser_ui").rglob("*.py"),
        *(ROOT / "assets").rglob("*.js"),
        *(ROOT / "assets").rglob("*.html"),
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def own(language: str) -> dict[str, str]:
    """The page's own phrases, without the library's messages."""
    return {key: phrase for key, phrase in PHRASES[language].words.items() if not key.startswith(LIBRARY)}


def places(phrase: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", phrase))


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_language_says_the_same_things_with_the_same_places(language):
    assert own(language).keys() == own("en").keys()
    assert {key: places(phrase) for key, phrase in own(language).items()} == {
        key: places(phrase) for key, phrase in own("en").items()
    }
    assert all(own(language).values())


def test_whatever_the_page_asks_for_there_is():
    used = set(USED.findall(sources())) - GENERATED
    defined = {key for phrases in PHRASES.values() for key in phrases.words}
    assert len(used) > 100
    for key in used:
        begin = re.split("[{$]", key)[0]
        assert key in defined or (begin != key and any(known.startswith(begin) for known in defined)), key


def test_nothing_is_in_the_dictionaries_that_nobody_says():
    source = sources()
    for key in own("en"):
        family = key.rpartition(".")[0]
        assert re.search(rf"""\b{re.escape(key)}["'`]|\b{re.escape(family)}\.\w*\$?{{""", source), key


def codes() -> set[tuple[str, str]]:
    """Kind and code of every error whose message the page may show."""
    listed = re.findall(r"^    (\w+(?:, \w+)*) {2,}\w", errors.__doc__, re.MULTILINE)
    pairs = {("audio", code) for codes in listed for code in codes.split(", ")}
    for path in [*(ROOT / "ser_core").rglob("*.py"), *(ROOT / "ser_ui").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(call.func).rpartition(".")[2] if isinstance(call, ast.Call) else ""
            if name in TRANSLATED and call.args and isinstance(call.args[0], ast.Constant):
                pairs.add((TRANSLATED[name], call.args[0].value))
    return pairs


@pytest.mark.parametrize("language", [language for language in words.LANGUAGES if language != "en"])
def test_what_the_library_says_is_said_in_every_language(language):
    phrases = PHRASES[language].words
    assert len(codes()) > 25
    for kind, code in codes():
        assert f"{LIBRARY}{kind}.{code}" in phrases, f"library.{language}.json has no {kind}.{code}"
    faults = quality.sentences(-50.0, 1.0, 0.0, 100) + quality.sentences(-120.0, 0.0, 0.0, 0)
    assert len(faults) == 5
    assert all(PHRASES[language].warning(fault) != fault for fault in faults)


def test_every_refusal_has_words():
    names = set(re.findall(r"""Refusal\(\*?\(?\d{3}, "(\w+)""", sources()))
    places = set(re.findall(r"""Places\("(\w+)""", sources()))
    assert len(names) > 8
    assert places == {"uploads", "connections", "sessions"}
    for name in names | {f"{whose}_{what}" for whose in ("all", "my") for what in places}:
        assert f"refusal.{name}" in PHRASES["en"].words


def test_every_emotion_and_every_format_has_a_name_in_every_language():
    for phrases in PHRASES.values():
        assert all(f"emotion.{label}" in phrases.words for label in (*LABELS, UNKNOWN, NO_SPEECH))
        assert all(f"format.{name}" in phrases.words for name in WRITERS)
        assert all(f"tab.{tab.NAME}" in phrases.words for tab in page.TABS)
        assert (words.ASSETS / "about" / f"{phrases.language}.html").is_file()


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("DE", "de"),
        ("en-GB,de", "en"),
        ("fr-FR,de;q=0.9", "en"),
        ("", "en"),
    ],
)
def test_the_server_says_what_it_says_in_the_browsers_language(accept_language, language):
    request = gr.Request()
    request.headers = {"accept-language": accept_language}
    assert words.for_request(request).language == language


def test_without_a_browser_the_language_is_english():
    assert words.for_request(None).language == "en"


def test_an_error_is_told_in_german_and_one_that_german_lacks_as_it_is():
    german = PHRASES["de"]
    assert german.error(AudioError("empty", "The file is empty.")).startswith("Die Datei ist leer")
    assert german.error(AudioError("new", "Something new.")) == "Something new."


def test_what_is_made_for_the_page_has_no_places_to_fill():
    translations = words.translations({language: {"page.x": "<code>{a: 1}</code>"} for language in PHRASES})
    assert translations.translations["de"]["page.x"] == "<code>&#123;a: 1&#125;</code>"
