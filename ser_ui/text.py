"""What the server says, as escaped HTML in the visitor's language: verdict, quality, problems and notes.

Every emotion is named in words beside its colour. Whatever comes from outside (file names above all) goes
through `html.escape`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from ser_core.analysis import Analysis, Segment, Verdict
from ser_core.emotions import NO_SPEECH, UNKNOWN, color_of
from ser_ui.comparison import DIFFERENT, SAME, UNSURE, agreements
from ser_ui.words import Phrases

ALIKE = 1e-4  # probabilities that differ by less are the same
LOGO_BARS = (10, 18, 30, 22, 36, 26, 14, 20)  # pixels; one bar an emotion
LOGO_COLORS = ("#8C8C8C", "#56B4E9", "#E69F00", "#0072B2", "#D55E00", "#CC79A7", "#009E73", "#F0E442")


def header(phrases: Phrases) -> str:
    """The page's title and its one sentence."""
    bars = "".join(
        f'<rect x="{7 * i}" y="{20 - height / 2:g}" width="4" height="{height}" rx="2" fill="{color}"/>'
        for i, (height, color) in enumerate(zip(LOGO_BARS, LOGO_COLORS, strict=True))
    )
    return (
        f'<header class="masthead"><svg viewBox="0 0 53 40" aria-hidden="true">{bars}</svg>'
        f"<div><h1>SER Studio</h1><p>{escape(phrases('page.tagline'))}</p></div></header>"
    )


def welcome(phrases: Phrases) -> str:
    """What stands in the answer's place before there is one."""
    return _empty(phrases("recording.welcome_title"), phrases("recording.welcome"))


def notes(phrases: Phrases) -> str:
    """What the answers mean and what becomes of a recording, below every tab."""
    sections = "".join(
        f"<section><h3>{escape(phrases(f'notes.{name}_title'))}</h3>"
        f"<p>{escape(phrases(f'notes.{name}'))}</p></section>"
        for name in ("meaning", "recording")
    )
    return f'<div class="notes">{sections}</div>'


def listening(source: str, phrases: Phrases) -> str:
    """What is shown while the model works."""
    return _empty(phrases("recording.listening"), source)


def problem(message: str, source: str, phrases: Phrases) -> str:
    """Why `source` has no answer."""
    return _alert(phrases("recording.problem"), message, source)


def not_ready(message: str, phrases: Phrases) -> str:
    """Why the page takes no recordings."""
    return _alert(phrases("page.no_model"), message, phrases("page.no_model_remedy"))


def headline(found: Verdict, phrases: Phrases) -> str:
    """A verdict in a few words.

    >>> from ser_ui.words import PHRASES
    >>> headline(Verdict("angry", 0.912, {"angry": 0.912, "calm": 0.088}), PHRASES["en"])
    'Angry — 91% sure'
    >>> headline(Verdict("unknown", 0.4, {"sad": 0.4, "calm": 0.3, "happy": 0.3}), PHRASES["en"])
    'Not sure — most likely sad (40%)'
    >>> headline(Verdict("unknown", 0.5, {"sad": 0.5, "happy": 0.5}), PHRASES["en"])
    'Not sure — it sounds like nothing the model knows'
    """
    if found.label == NO_SPEECH:
        return phrases("verdict.no_speech")
    share = phrases.percent(found.confidence)
    if found.label == UNKNOWN:
        guess = guessed(found)
        if guess is None:
            return phrases("verdict.unfamiliar")
        return phrases("verdict.unsure", emotion=phrases.emotion(guess), share=share)
    return phrases("verdict.sure", emotion=phrases.emotion(found.label).capitalize(), share=share)


def answer(analysis: Analysis, phrases: Phrases) -> str:
    """The whole recording in a few words: where its segments differ and no emotion prevails, all of them."""
    named = [label for label in speaking_time(analysis.segments) if label != UNKNOWN]
    if analysis.summary.label == UNKNOWN and len(named) > 1:
        return phrases("verdict.several", emotions=", ".join(map(phrases.emotion, named)))
    return headline(analysis.summary, phrases)


def guessed(found: Verdict) -> str | None:
    """The most probable emotion of a verdict that is too unsure to have it as its label.

    None where all are as probable, as they are of a sound that is unlike all the model has learnt.
    """
    shares = found.probabilities
    alike = max(shares.values()) - min(shares.values()) <= ALIKE
    return None if alike else max(shares, key=lambda name: shares[name])


def mixture(segments: Sequence[Segment], phrases: Phrases) -> str:
    """How the speaking time divides among the segments' labels; empty where all have the same."""
    seconds = speaking_time(segments)
    if len(seconds) < 2:
        return ""
    total = sum(seconds.values())
    parts = [
        f"{phrases.percent(length / total)} {phrases.emotion('unclear' if label == UNKNOWN else label)}"
        for label, length in seconds.items()
    ]
    return phrases("verdict.mixture", parts=", ".join(parts))


def speaking_time(segments: Sequence[Segment]) -> dict[str, float]:
    """Speaking time of each label in seconds, the longest first."""
    seconds: Counter[str] = Counter()
    for segment in segments:
        seconds[segment.label] += segment.end - segment.start
    return dict(seconds.most_common())


def compare(phrases: Phrases) -> str:
    """What stands in a comparison's place before there is one."""
    return _empty(phrases("compare.welcome_title"), phrases("compare.welcome"))


def how_many(phrases: Phrases) -> str:
    """That too few or too many models are chosen."""
    return _empty(phrases("compare.choose_title"), phrases("compare.choose"))


def one_model(name: str, phrases: Phrases) -> str:
    """Why nothing can be compared, and how that changes."""
    return _empty(phrases("compare.alone_title"), phrases("compare.alone", name=name))


def comparison(analyses: Sequence[Analysis], phrases: Phrases) -> str:
    """On how much of a recording its `analyses`, one a model, agree."""
    if len(analyses) < 2:
        return _alert(phrases("compare.nothing_title"), phrases("compare.nothing"))
    first = analyses[0]
    models = ", ".join(f"{analysis.model_name} {analysis.model_version}" for analysis in analyses)
    facts = [first.source, duration(first.duration, phrases), phrases("compare.facts", models=models)]
    kinds = Counter(found.kind for found in agreements(analyses))
    return (
        f'<div class="verdict"><h2>{escape(agreed(kinds, phrases))}</h2>'
        f'<p>{escape(_disagreed(kinds, phrases))}</p><p class="facts">{escape(" · ".join(facts))}</p></div>'
    )


def agreed(kinds: Mapping[str, int], phrases: Phrases) -> str:
    """On how many segments models agree, of how many of each kind of agreement there are.

    >>> from ser_ui.words import PHRASES
    >>> agreed({"same": 7, "different": 2}, PHRASES["en"])
    'They agree on 7 of 9 segments'
    """
    total, same = sum(kinds.values()), kinds.get(SAME, 0)
    if not total:
        return phrases("verdict.no_speech")
    if total == 1:
        return phrases("compare.agree_one" if same else "compare.agree_not")
    phrase = {0: "compare.agree_none", total: "compare.agree_all"}.get(same, "compare.agree_some")
    return phrases(phrase, same=same, total=total)


def _disagreed(kinds: Mapping[str, int], phrases: Phrases) -> str:
    """What models do where they do not agree."""
    parts = [
        phrases(f"compare.on_{kind}", count=kinds[kind]) for kind in (DIFFERENT, UNSURE) if kinds.get(kind)
    ]
    return sentence(", ".join(parts)) if parts else ""


def verdict(analysis: Analysis, phrases: Phrases) -> str:
    """The whole recording's answer: headline, what was heard, and what is wrong with the recording."""
    label = analysis.summary.label
    style = "" if label == NO_SPEECH else f' style="--emotion:{color_of(label)}"'
    more = mixture(analysis.segments, phrases) if analysis.segments else phrases("verdict.nobody")
    return (
        f'<div class="verdict"{style}><h2>{escape(answer(analysis, phrases))}</h2><p>{escape(more)}</p>'
        f'<p class="facts">{escape(_facts(analysis, phrases))}</p>{_quality(analysis, phrases)}</div>'
    )


def duration(seconds: float, phrases: Phrases) -> str:
    """A length of time in words.

    >>> from ser_ui.words import PHRASES
    >>> duration(3.3, PHRASES["en"]), duration(65, PHRASES["en"])
    ('3.3 s', '1 min 5 s')
    """
    if seconds < 59.95:
        return f"{phrases.number(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def sentence(words: str) -> str:
    """`words` with a capital at the start and a full stop at the end."""
    words = words.strip()
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def _facts(analysis: Analysis, phrases: Phrases) -> str:
    """What was heard, how long it is and by which model it was judged."""
    facts = [analysis.source, duration(analysis.duration, phrases)]
    count = len(analysis.segments)
    if count:
        spoken = sum(segment.end - segment.start for segment in analysis.segments)
        phrase = "verdict.speech_one" if count == 1 else "verdict.speech_many"
        facts.append(phrases(phrase, duration=duration(spoken, phrases), count=count))
    facts.append(phrases("verdict.model", name=analysis.model_name, version=analysis.model_version))
    return " · ".join(facts)


def _empty(title: str, words: str) -> str:
    """What stands where an answer will be."""
    return f'<div class="verdict empty"><h2>{escape(title)}</h2><p>{escape(words)}</p></div>'


def _alert(title: str, message: str, about: str = "") -> str:
    """Something wrong, in words; screen readers announce it at once."""
    return (
        f'<div class="verdict problem" role="alert"><h2>{escape(title)}</h2>'
        f'<p>{escape(sentence(message))}</p><p class="facts">{escape(about)}</p></div>'
    )


def _quality(analysis: Analysis, phrases: Phrases) -> str:
    """What the recording's quality means for the answer."""
    if analysis.quality is None:
        return ""
    if not analysis.quality.warnings:
        return f'<p class="quality">{escape(phrases("verdict.quality_good"))}</p>'
    warnings = [sentence(phrases.warning(warning)) for warning in analysis.quality.warnings]
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<div class="quality"><b>{escape(phrases("verdict.quality"))}</b><ul>{items}</ul></div>'
