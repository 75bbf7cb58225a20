"""The page's words, as escaped HTML: verdict, segments, quality, problems and notes.

Every emotion is named in words beside its colour. Whatever comes from outside (file names above all) goes
through `html.escape`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from ser_core.analysis import Analysis, Segment, Verdict
from ser_core.emotions import NO_SPEECH, UNKNOWN, color_of
from ser_ui.comparison import DIFFERENT, SAME, UNSURE, agreements

LOGO_BARS = (10, 18, 30, 22, 36, 26, 14, 20)  # pixels; one bar an emotion
LOGO_COLORS = ("#8C8C8C", "#56B4E9", "#E69F00", "#0072B2", "#D55E00", "#CC79A7", "#009E73", "#F0E442")

WELCOME = (
    '<div class="verdict empty"><h2>Nothing to hear yet</h2>'
    "<p>Press <b>Record</b> and speak, or drop an audio file. The answer appears here by itself when you "
    "stop or the file has arrived. Up to an hour; WAV, FLAC, MP3, Ogg, Opus, M4A and WebM.</p></div>"
)
MODELS = "Models"
HOW_MANY = "Two to six hear the same recording."
COMPARE = (
    '<div class="verdict empty"><h2>Do models agree?</h2><p>Drop a recording, or open one in the tab '
    "Recording and press <b>Compare models</b> there. Every chosen model hears the same stretches of speech; "
    "where they disagree is marked.</p></div>"
)
HOW_MANY_TO_COMPARE = (
    '<div class="verdict empty"><h2>Choose two to six models</h2><p>The comparison then goes on by '
    "itself.</p></div>"
)
NOTHING_TO_SAVE = "There is nothing to save: drop the recording again."
NOTES = (
    '<div class="notes"><section><h3>What the answer means</h3><p>The model compares a voice with acted '
    "emotions from a few speech corpora and says which they sound most like. The per cent figure is its own "
    "estimate of being right on such recordings. Nobody can hear for certain what a person feels, and "
    "neither can this: do not decide anything about anyone with it.</p></section><section><h3>Your "
    "recording</h3><p>It is analysed in the memory of the computer that serves this page and sent nowhere "
    "else. A temporary copy for playback is deleted within 20 minutes; nothing else is kept.</p></section>"
    "</div>"
)


def header() -> str:
    """The page's title and its one sentence."""
    bars = "".join(
        f'<rect x="{7 * i}" y="{20 - height / 2:g}" width="4" height="{height}" rx="2" fill="{color}"/>'
        for i, (height, color) in enumerate(zip(LOGO_BARS, LOGO_COLORS, strict=True))
    )
    return (
        f'<header class="masthead"><svg viewBox="0 0 53 40" aria-hidden="true">{bars}</svg>'
        "<div><h1>SER Studio</h1><p>Hears which emotion a voice carries, and where in the recording.</p>"
        "</div></header>"
    )


def listening(source: str) -> str:
    """What is shown while the model works."""
    return f'<div class="verdict empty"><h2>Listening…</h2><p>{escape(source)}</p></div>'


def problem(message: str, source: str) -> str:
    """Why `source` has no answer."""
    return _alert("This cannot be analysed", message, source)


def not_ready(message: str) -> str:
    """Why the page takes no recordings."""
    remedy = "Restore the folder checkpoints/ of the repository, or start with: python app.py --model NAME"
    return _alert("The page has no model", message, remedy)


def headline(found: Verdict) -> str:
    """A verdict in a few words.

    >>> headline(Verdict("angry", 0.912, {"angry": 0.912, "calm": 0.088}))
    'Angry — 91% sure'
    >>> headline(Verdict("unknown", 0.4, {"sad": 0.4, "calm": 0.3, "happy": 0.3}))
    'Not sure — most likely sad (40%)'
    """
    if found.label == NO_SPEECH:
        return "No speech found"
    if found.label == UNKNOWN:
        return f"Not sure — most likely {likeliest(found)} ({found.confidence:.0%})"
    return f"{found.label.capitalize()} — {found.confidence:.0%} sure"


def answer(analysis: Analysis) -> str:
    """The whole recording in a few words: where its segments differ and no emotion prevails, all of them."""
    named = [label for label in speaking_time(analysis.segments) if label != UNKNOWN]
    if analysis.summary.label == UNKNOWN and len(named) > 1:
        return f"Several emotions — {', '.join(named)}"
    return headline(analysis.summary)


def likeliest(found: Verdict) -> str:
    """The most probable emotion of a verdict, also where it is too unsure to be its label."""
    return max(found.probabilities, key=lambda name: found.probabilities[name])


def mixture(segments: Sequence[Segment]) -> str:
    """How the speaking time divides among the segments' labels; empty where all have the same."""
    seconds = speaking_time(segments)
    if len(seconds) < 2:
        return ""
    total = sum(seconds.values())
    parts = [
        f"{length / total:.0%} {'unclear' if label == UNKNOWN else label}"
        for label, length in seconds.items()
    ]
    return f"By speaking time: {', '.join(parts)}."


def speaking_time(segments: Sequence[Segment]) -> dict[str, float]:
    """Speaking time of each label in seconds, the longest first."""
    seconds: Counter[str] = Counter()
    for segment in segments:
        seconds[segment.label] += segment.end - segment.start
    return dict(seconds.most_common())


def one_model(name: str) -> str:
    """Why nothing can be compared, and how that changes."""
    return (
        '<div class="verdict empty"><h2>One model has nobody to disagree with</h2><p>Only '
        f"<b>{escape(name)}</b> is installed, and a comparison takes two. Train another one (train/README.md "
        "says how, in five commands) or put a checkpoint's folder into checkpoints/; then start the page "
        "again.</p></div>"
    )


def comparison(analyses: Sequence[Analysis]) -> str:
    """On how much of a recording its `analyses`, one a model, agree."""
    if len(analyses) < 2:
        return _alert("There is nothing to compare", "fewer than two of these models could be loaded")
    first = analyses[0]
    facts = [escape(first.source), duration(first.duration)]
    facts.append("models " + ", ".join(f"{escape(a.model_name)} {escape(a.model_version)}" for a in analyses))
    kinds = Counter(found.kind for found in agreements(analyses))
    return (
        f'<div class="verdict"><h2>{agreed(kinds)}</h2><p>{_disagreed(kinds)}</p>'
        f'<p class="facts">{" · ".join(facts)}</p></div>'
    )


def agreed(kinds: Mapping[str, int]) -> str:
    """On how many segments models agree, of how many of each kind of agreement there are.

    >>> agreed({"same": 7, "different": 2})
    'They agree on 7 of 9 segments'
    """
    total, same = sum(kinds.values()), kinds.get(SAME, 0)
    if not total:
        return "No speech found"
    if total == 1:
        return "They agree" if same else "They do not agree"
    share = {0: "none of", total: "all"}.get(same, f"{same} of")
    return f"They agree on {share} {total} segments"


def _disagreed(kinds: Mapping[str, int]) -> str:
    """What models do where they do not agree."""
    parts = []
    if kinds.get(DIFFERENT):
        parts.append(f"on {kinds[DIFFERENT]} they name different emotions (≠)")
    if kinds.get(UNSURE):
        parts.append(f"on {kinds[UNSURE]} not all of them are sure (?)")
    return sentence(", ".join(parts)) if parts else ""


def verdict(analysis: Analysis) -> str:
    """The whole recording's answer: headline, what was heard, and what is wrong with the recording."""
    spoken = sum(segment.end - segment.start for segment in analysis.segments)
    count = len(analysis.segments)
    facts = [escape(analysis.source), duration(analysis.duration)]
    if count:
        facts.append(f"{duration(spoken)} of speech in {count} segment{'s' if count > 1 else ''}")
    facts.append(f"model {escape(analysis.model_name)} {escape(analysis.model_version)}")
    more = mixture(analysis.segments)
    if not count:
        more = "Nobody seems to speak here. Move closer to the microphone, or try another file."
    label = analysis.summary.label
    style = "" if label == NO_SPEECH else f' style="--emotion:{color_of(label)}"'
    return (
        f'<div class="verdict"{style}><h2>{answer(analysis)}</h2><p>{more}</p>'
        f'<p class="facts">{" · ".join(facts)}</p>{_quality(analysis)}</div>'
    )


def duration(seconds: float) -> str:
    """A length of time in words.

    >>> duration(3.3), duration(65)
    ('3.3 s', '1 min 5 s')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _alert(title: str, message: str, about: str = "") -> str:
    """Something wrong, in words; screen readers announce it at once."""
    return (
        f'<div class="verdict problem" role="alert"><h2>{title}</h2><p>{escape(sentence(message))}</p>'
        f'<p class="facts">{escape(about)}</p></div>'
    )


def _quality(analysis: Analysis) -> str:
    """What the recording's quality means for the answer."""
    if analysis.quality is None:
        return ""
    if not analysis.quality.warnings:
        return '<p class="quality">Recording quality: nothing to complain about.</p>'
    items = "".join(f"<li>{escape(sentence(warning))}</li>" for warning in analysis.quality.warnings)
    return f'<div class="quality"><b>Recording quality</b><ul>{items}</ul></div>'


def sentence(words: str) -> str:
    """`words` with a capital at the start and a full stop at the end."""
    words = words.strip()
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")
