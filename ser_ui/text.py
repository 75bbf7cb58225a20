"""Texts of the page as escaped HTML, in the visitor's language: verdicts, quality, problems and notes.

Every emotion is named in words beside its colour. All text from outside (file names above all) passes through
`html.escape`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from ser_core.analysis import Analysis, Segment, Verdict, speaking_time
from ser_core.emotions import NO_SPEECH, UNKNOWN, color_of
from ser_ui import voices
from ser_ui.comparison import DIFFERENT, SAME, UNSURE, agreements
from ser_ui.words import Phrases

EQUAL_TOLERANCE = 1e-4  # probabilities that differ by less count as equal
LOGO_BARS = (10, 18, 30, 22, 36, 26, 14, 20)  # pixels; one bar per emotion
LOGO_COLORS = ("#8C8C8C", "#56B4E9", "#E69F00", "#0072B2", "#D55E00", "#CC79A7", "#009E73", "#F0E442")


def header(phrases: Phrases) -> str:
    """The page's header: logo, title and tagline."""
    bars = "".join(
        f'<rect x="{7 * i}" y="{20 - height / 2:g}" width="4" height="{height}" rx="2" fill="{color}"/>'
        for i, (height, color) in enumerate(zip(LOGO_BARS, LOGO_COLORS, strict=True))
    )
    return (
        f'<header class="masthead"><svg viewBox="0 0 53 40" aria-hidden="true">{bars}</svg>'
        f"<div><h1>SER Studio</h1><p>{escape(phrases('page.tagline'))}</p></div></header>"
    )


def welcome(phrases: Phrases) -> str:
    """Shown in place of a verdict before there is one."""
    return _empty(phrases("recording.welcome_title"), phrases("recording.welcome"))


def notes(phrases: Phrases) -> str:
    """The notes below every tab: what a result means, and what happens to a recording."""
    sections = "".join(
        f"<section><h3>{escape(phrases(f'notes.{name}_title'))}</h3>"
        f"<p>{escape(phrases(f'notes.{name}'))}</p></section>"
        for name in ("meaning", "recording")
    )
    return f'<div class="notes">{sections}</div>'


def listening(source: str, phrases: Phrases) -> str:
    """Shown while the model analyses `source`."""
    return _empty(phrases("recording.listening"), source)


def problem(message: str, source: str, phrases: Phrases) -> str:
    """Shown where `source` could not be analysed; `message` is the reason."""
    return _alert(phrases("recording.problem"), message, source)


def not_ready(message: str, phrases: Phrases) -> str:
    """Shown where the server has no model; `message` is the reason."""
    return _alert(phrases("page.no_model"), message, phrases("page.no_model_remedy"))


def headline(result: Verdict, phrases: Phrases) -> str:
    """A verdict in a few words.

    >>> from ser_ui.words import PHRASES
    >>> headline(Verdict("angry", 0.912, {"angry": 0.912, "calm": 0.088}), PHRASES["en"])
    'Angry — 91% sure'
    >>> headline(Verdict("unknown", 0.4, {"sad": 0.4, "calm": 0.3, "happy": 0.3}), PHRASES["en"])
    'Not sure — most likely sad (40%)'
    >>> headline(Verdict("unknown", 0.5, {"sad": 0.5, "happy": 0.5}), PHRASES["en"])
    'Not sure — it sounds like nothing the model knows'
    """
    if result.label == NO_SPEECH:
        return phrases("verdict.no_speech")
    share = phrases.percent(result.confidence)
    if result.label == UNKNOWN:
        likeliest = likeliest_emotion(result)
        if likeliest is None:
            return phrases("verdict.unfamiliar")
        return phrases("verdict.unsure", emotion=phrases.emotion(likeliest), share=share)
    return phrases("verdict.sure", emotion=phrases.emotion(result.label).capitalize(), share=share)


def verdict_headline(analysis: Analysis, phrases: Phrases) -> str:
    """The verdict on a whole recording in a few words.

    Of several voices each is named. If no emotion prevails but several segments have one, these emotions are
    listed.
    """
    if len(analysis.voices) > 1:
        return voices.headline(analysis, phrases)
    emotions = [label for label in speaking_time(analysis.segments) if label != UNKNOWN]
    if analysis.summary.label == UNKNOWN and len(emotions) > 1:
        return phrases("verdict.several", emotions=", ".join(map(phrases.emotion, emotions)))
    return headline(analysis.summary, phrases)


def likeliest_emotion(result: Verdict) -> str | None:
    """The most probable emotion of a verdict whose label is `unknown`.

    None if all are equally probable, as for a sound that is unlike everything the model was trained on.
    """
    shares = result.probabilities
    all_equal = max(shares.values()) - min(shares.values()) <= EQUAL_TOLERANCE
    return None if all_equal else max(shares, key=lambda name: shares[name])


def label_shares(segments: Sequence[Segment], phrases: Phrases) -> str:
    """Each label's share of the speaking time, in words; empty if all segments have the same label."""
    seconds = speaking_time(segments)
    if len(seconds) < 2:
        return ""
    total = sum(seconds.values())
    parts = [
        f"{phrases.percent(length / total)} {phrases.emotion('unclear' if label == UNKNOWN else label)}"
        for label, length in seconds.items()
    ]
    return phrases("verdict.mixture", parts=", ".join(parts))


def compare_welcome(phrases: Phrases) -> str:
    """Shown in place of a comparison before there is one."""
    return _empty(phrases("compare.welcome_title"), phrases("compare.welcome"))


def choose_models(phrases: Phrases) -> str:
    """Shown where too few or too many models are chosen."""
    return _empty(phrases("compare.choose_title"), phrases("compare.choose"))


def single_model(name: str, phrases: Phrases) -> str:
    """Shown where the server has only the model `name`: how to add another one."""
    return _empty(phrases("compare.alone_title"), phrases("compare.alone", name=name))


def comparison(analyses: Sequence[Analysis], phrases: Phrases) -> str:
    """How far the `analyses` of a recording, one per model, agree."""
    if len(analyses) < 2:
        return _alert(phrases("compare.nothing_title"), phrases("compare.nothing"))
    first = analyses[0]
    models = ", ".join(f"{analysis.model_name} {analysis.model_version}" for analysis in analyses)
    facts = [first.source, duration(first.duration, phrases), phrases("compare.facts", models=models)]
    counts = Counter(agreement.kind for agreement in agreements(analyses))
    return (
        f'<div class="verdict"><h2>{escape(agreement_headline(counts, phrases))}</h2>'
        f"<p>{escape(_disagreements(counts, phrases))}</p>"
        f'<p class="facts">{escape(" · ".join(facts))}</p></div>'
    )


def agreement_headline(counts: Mapping[str, int], phrases: Phrases) -> str:
    """On how many segments the models agree; `counts` are the segments by kind of agreement.

    >>> from ser_ui.words import PHRASES
    >>> agreement_headline({"same": 7, "different": 2}, PHRASES["en"])
    'They agree on 7 of 9 segments'
    """
    total, same = sum(counts.values()), counts.get(SAME, 0)
    if not total:
        return phrases("verdict.no_speech")
    if total == 1:
        return phrases("compare.agree_one" if same else "compare.agree_not")
    phrase = {0: "compare.agree_none", total: "compare.agree_all"}.get(same, "compare.agree_some")
    return phrases(phrase, same=same, total=total)


def _disagreements(counts: Mapping[str, int], phrases: Phrases) -> str:
    """On how many segments the models differ or are not sure, as a sentence; empty if on none."""
    parts = [
        phrases(f"compare.on_{kind}", count=counts[kind]) for kind in (DIFFERENT, UNSURE) if counts.get(kind)
    ]
    return sentence(", ".join(parts)) if parts else ""


def verdict(analysis: Analysis, phrases: Phrases) -> str:
    """The verdict on a recording: headline, details, facts, and faults of the recording."""
    label = analysis.summary.label
    style = "" if label == NO_SPEECH else f' style="--emotion:{color_of(label)}"'
    details = label_shares(analysis.segments, phrases) if analysis.segments else phrases("verdict.nobody")
    if len(analysis.voices) > 1:
        details = voices.times(analysis, phrases)
    return (
        f'<div class="verdict"{style}><h2>{escape(verdict_headline(analysis, phrases))}</h2>'
        f"<p>{escape(details)}</p>"
        f'<p class="facts">{escape(_facts(analysis, phrases))}</p>{_quality(analysis, phrases)}</div>'
    )


def duration(seconds: float, phrases: Phrases) -> str:
    """A duration in words.

    >>> from ser_ui.words import PHRASES
    >>> duration(3.3, PHRASES["en"]), duration(65, PHRASES["en"])
    ('3.3 s', '1 min 5 s')
    """
    if seconds < 59.95:
        return f"{phrases.number(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def sentence(words: str) -> str:
    """`words` with an initial capital and a final full stop."""
    words = words.strip()
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def _facts(analysis: Analysis, phrases: Phrases) -> str:
    """Source, duration, amount of speech and model of an analysis."""
    facts = [analysis.source, duration(analysis.duration, phrases)]
    count = len(analysis.segments)
    if count:
        spoken = sum(segment.end - segment.start for segment in analysis.segments)
        phrase = "verdict.speech_one" if count == 1 else "verdict.speech_many"
        facts.append(phrases(phrase, duration=duration(spoken, phrases), count=count))
    facts.append(phrases("verdict.model", name=analysis.model_name, version=analysis.model_version))
    return " · ".join(facts)


def _empty(title: str, words: str) -> str:
    """A box in place of a verdict."""
    return f'<div class="verdict empty"><h2>{escape(title)}</h2><p>{escape(words)}</p></div>'


def _alert(title: str, message: str, about: str = "") -> str:
    """An error message, which screen readers announce at once."""
    return (
        f'<div class="verdict problem" role="alert"><h2>{escape(title)}</h2>'
        f'<p>{escape(sentence(message))}</p><p class="facts">{escape(about)}</p></div>'
    )


def _quality(analysis: Analysis, phrases: Phrases) -> str:
    """Faults of the recording that make the verdict less reliable."""
    if analysis.quality is None:
        return ""
    if not analysis.quality.warnings:
        return f'<p class="quality">{escape(phrases("verdict.quality_good"))}</p>'
    warnings = [sentence(phrases.warning(warning)) for warning in analysis.quality.warnings]
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<div class="quality"><b>{escape(phrases("verdict.quality"))}</b><ul>{items}</ul></div>'
