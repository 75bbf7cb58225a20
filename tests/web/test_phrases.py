"""The static page's own phrases: the same in each language, none missing, none unused."""

import json
import re

import pytest
from support import ROOT

from ser_ui.words import LANGUAGES, PHRASES

WORDS = {
    language: json.loads((ROOT / "web" / "words" / f"{language}.json").read_text(encoding="utf-8"))
    for language in LANGUAGES
}
USED = re.compile(r"""(?:phrase\(|known\(|data-say=|data-label=|return )["'`]([a-z][\w.]*\.[\w.{$]+)""")
SOURCES = [path for path in (ROOT / "web" / "src").rglob("*") if path.suffix in (".js", ".html")]
GENERATED = re.compile(r"phrase\(`web\.\$\{code\}`\)")  # by the codes of WeightsError


def own(language: str) -> dict[str, str]:
    return {key: text for key, text in WORDS[language].items() if key.startswith("web.")}


def places(phrase: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", phrase))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same_things_with_the_same_places(language):
    assert own(language).keys() == own("en").keys()
    for key, text in WORDS[language].items():
        assert text
        assert places(text) == places(WORDS["en"][key]), key


def test_whatever_the_page_asks_for_there_is_and_nothing_else():
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    defined = WORDS["en"].keys() | PHRASES["en"].words.keys()
    used = {
        key for key in USED.findall(source) if "{" not in key and "$" not in key and not key.endswith(".js")
    }
    assert len(used) > 40
    assert not used - defined
    assert GENERATED.search(source)
    codes = set(re.findall(r'WeightsError\("(\w+)"', source))
    assert codes == {"offline", "missing", "mismatch"}
    assert own("en").keys() <= used | {f"web.{code}" for code in codes}
