"""HTML report: one page that contains its figures and loads nothing else."""

from collections.abc import Iterator, Sequence
from html import escape

from ser_core.analysis import UNSURE_VOICE, Analysis, Segment, Verdict
from ser_core.emotions import color_of
from ser_core.export.text import utf8

# Nothing is loaded and no script runs, even if a file name contains markup.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
:root { color-scheme: light dark; --text: #2b3440; --paper: #ffffff; --line: #c3c9d1; --error: #a4262c;
  --figure-text: var(--text); --figure-faint: var(--line); --figure-wave: var(--text); }
@media screen and (prefers-color-scheme: dark) {
  :root { --text: #e6e9ee; --paper: #16191d; --line: #4b545f; --error: #ff9a9e; } }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--text); background: var(--paper); }
h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
h2, td:first-child { overflow-wrap: anywhere; white-space: pre-wrap; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .4em;
  border: 1px solid var(--text); }
.figure svg { max-width: 100%; height: auto; }
.bars { max-width: 30rem; }
.error { color: var(--error); }
.scroll { overflow-x: auto; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); font-size: .9rem; }
@media print { body { margin: 0; max-width: none; } .figure, tr, h2, h3 { break-inside: avoid; }
  h2, h3 { break-after: avoid; } thead { display: table-header-group; }
  .swatch, svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
CAVEAT = (
    "The emotions are those that trained speakers act out in a few corpora: what a voice sounds like to the "
    "model, not what a person feels. A score is the model's confidence among the emotions it knows."
)


def dumps(analyses: Sequence[Analysis]) -> str:
    """One page with a table of all recordings and a section for each."""
    models = sorted({f"{analysis.model_name} {analysis.model_version}" for analysis in analyses})
    title = f"Speech emotions in {len(analyses)} recording{'' if len(analyses) == 1 else 's'}"
    overview = _table(
        ("recording", "duration (s)", "sounds", "confidence", "segments"), map(_overview_row, analyses)
    )
    sections = "".join(_section(number, analysis) for number, analysis in enumerate(analyses, start=1))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f"{overview}{sections}<footer>\n<p>{CAVEAT}</p>\n"
        f"<p>Made by SER Studio with {_text(', '.join(models) or 'no model')}.</p>\n"
        "</footer>\n</body>\n</html>\n"
    )


def _overview_row(analysis: Analysis) -> tuple[str, ...]:
    source, duration = _text(analysis.source), f"{analysis.duration:.2f}"
    if analysis.error:
        return source, "", f'<span class="error">{_text(analysis.error.code)}</span>', "", ""
    return source, duration, *_verdict_cells(analysis.summary), str(len(analysis.segments))


def _section(number: int, analysis: Analysis) -> str:
    heading = f'<section>\n<h2 id="recording-{number}">{_text(analysis.source)}</h2>\n'
    if analysis.error:
        return f'{heading}<p class="error">{_text(analysis.error.message)}</p>\n</section>\n'
    warnings = analysis.quality.warnings if analysis.quality else ()
    entries = "".join(f"<li>{_text(warning)}</li>" for warning in warnings)
    warning_list = f"<ul>{entries}</ul>\n" if entries else ""
    if not analysis.segments:
        return f"{heading}{warning_list}<p>No speech was found.</p>\n</section>\n"
    from ser_core.pictures import plots  # here, because importing matplotlib takes a while
    from ser_core.pictures.svg import describe_probabilities, inline_svg

    bars = plots.probability_figure(analysis.summary)
    description = "Emotion, valence and arousal of each segment over time, as in the table below"
    figures = ""
    for voice, segments in _by_voice(analysis).items():
        figure = plots.timeline_figure(segments, analysis.duration)
        figures += f"<h3>Voice {_text(voice)}</h3>\n" if voice else ""
        figures += f"{inline_svg(figure, f'{description}, voice {voice}' if voice else description)}\n"
    has_voices = analysis.has_voices
    columns = ("start (s)", "end (s)", "sounds", "confidence", "valence", "arousal")
    rows = _table(
        ("segment", *(("voice",) if has_voices else ()), *columns),
        (
            _segment_row(index, segment, has_voices)
            for index, segment in enumerate(analysis.segments, start=1)
        ),
    )
    return (
        f"{heading}{warning_list}{figures}"
        f"<p>Solid: valence, dashed: arousal, both from -1 to 1.</p>\n{_voices(analysis)}"
        "<h3>Whole recording</h3>\n"
        f'<div class="bars">{inline_svg(bars, describe_probabilities(analysis.summary))}</div>\n'
        f"<h3>Segments</h3>\n{rows}</section>\n"
    )


def _by_voice(analysis: Analysis) -> dict[str, list[Segment]]:
    """The segments of each voice; of one "" where none were told apart."""
    if not analysis.has_voices:
        return {"": list(analysis.segments)}
    names = [*(voice.name for voice in analysis.voices), UNSURE_VOICE]
    found = {name: [one for one in analysis.segments if one.voice == name] for name in names}
    return {name: segments for name, segments in found.items() if segments}


def _voices(analysis: Analysis) -> str:
    """A table of the voices; empty where none were told apart."""
    if not analysis.has_voices:
        return ""
    rows = (
        (
            _text(voice.name),
            f"{voice.time:.2f}",
            *_verdict_cells(voice.summary),
            ", ".join(f"{share:.0%} {_text(label)}" for label, share in voice.shares.items()),
        )
        for voice in analysis.voices
    )
    table = _table(("voice", "speaks (s)", "sounds", "confidence", "of its time"), rows)
    return f"<h3>Voices</h3>\n{table}"


def _segment_row(number: int, segment: Segment, has_voices: bool) -> tuple[str, ...]:
    times = f"{segment.start:.2f}", f"{segment.end:.2f}"
    numbers = (str(number), *((_text(str(segment.voice)),) if has_voices else ()))
    return *numbers, *times, *_verdict_cells(segment), f"{segment.valence:+.2f}", f"{segment.arousal:+.2f}"


def _verdict_cells(verdict: Verdict) -> tuple[str, str]:
    """The label with its colour, and the confidence, empty without speech."""
    swatch = f'<span class="swatch" style="background: {color_of(verdict.label)}"></span>'
    if not verdict.probabilities:
        return _text(verdict.label), ""
    return f"{swatch}{_text(verdict.label)}", f"{verdict.confidence:.0%}"


def _table(columns: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    """A table from `columns`, the headings, and rows of cells in HTML."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"
    return f'<div class="scroll">{table}</div>\n'


def _text(text: str) -> str:
    """`text` escaped for HTML; control characters, which HTML cannot contain, become U+FFFD."""
    printable = "".join(c if c.isprintable() or c in "\n\t" or c > "\x9f" else "\ufffd" for c in utf8(text))
    return escape(printable)
