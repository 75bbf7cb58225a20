"""Model cards in Markdown, from a bundle and its metrics."""

from collections.abc import Mapping
from typing import Any

from ser_core.checkpoint.bundle import Bundle
from ser_core.models.registry import ADAPTIVE
from train.reports.provenance import LANGUAGES, LICENCE, LICENCE_ID, describe_corpus, describe_recordings

OTHER_RUNS = """All numbers are percent, on speakers the measured models never heard. The shipped weights were
trained by the same recipe on all speakers, so these clips are no test of them: the numbers are the
recipe's."""
SOME_RUNS = """All numbers are percent. Runs of the same recipe were measured; each table says on whom."""
OWN_RUN = """All numbers are percent, and are those of the shipped weights themselves, on clips they were not
trained on."""
UNSEEN = """All numbers are percent, and are those of the shipped weights themselves, on corpora they were not
trained on."""
NOT_MEASURED = """Not measured: these weights were trained on everybody, and no runs that leave speakers out
are quoted."""
DEPENDENT = """**Speaker-dependent**: recordings were split, not speakers, so the voices that are tested were
also trained on. Expect much less from a voice it has never heard."""
MEANING = """A score says how much a voice sounds like the training speech of that emotion; it does not say
what a person feels. Expect worse results on spontaneous speech, other languages, children, and noisy or
telephone recordings. Do not use it to judge people: not at work, in schools, in hiring, in health or in
policing. In the European Union, emotion recognition at work and in education is forbidden save for medical
and safety reasons (AI Act, Article 5), and people exposed to it elsewhere must be told (Article 50)."""

ONNX = """`python -m train export CHECKPOINT --onnx` writes `model.onnx` and `model.int8.onnx`, which is
smaller, quicker and less exact. Features and calibration are inside; any number of clips (batch) goes in."""

ADAPTS = (
    "Those are clips by themselves, the first that is heard of a voice. Within a recording the model gets to "
    "know it, without being told a label; each clip is judged with those before it:"
)
SESSIONS = {
    "every_emotion": "all clips of the speaker, in random order",
    "mostly_neutral": "ten clips, seven of them neutral",
    "one_emotion": "ten clips, all of one emotion: the hardest case for it",
}
LEFT_OUT = """Of each corpus by itself: the network was not trained on it, and the checkpoint's properties
(the last line of this section) were chosen on the *other* corpora.
Sessions are of one voice. UAR in percent."""
LEFT_OUT_KINDS = {"by_themselves": "clips by themselves", **SESSIONS}
LEFT_OUT_MEANS = {
    "ravdess_5fold": "RAVDESS, actors left out, five folds",
    "mean": "RAVDESS, EMOVO, nEMO, TESS: mean",
    "mean_of_all": "mean of all it was trained on",
}


def model_card(bundle: Bundle, origin: str) -> str:
    """The model card in Markdown, with front matter for the Hugging Face hub; `origin` as from `origin`."""
    corpora = [entry.partition(" ") for entry in bundle.training_data]
    trained_on = "\n".join(f"- {describe_corpus(name)} {speakers}" for name, _, speakers in corpora)
    protocols = bundle.metrics.get("protocols", {})
    parts = [
        f"---\nlicense: {LICENCE_ID if bundle.licence == LICENCE else 'other'}\n"
        "pipeline_tag: audio-classification\n---",
        f"# {bundle.name}",
        f"Names the emotion of a stretch of speech: {', '.join(bundle.labels)}.",
        f"- Architecture: `{bundle.architecture}`, {bundle.parameters / 1e6:.1f} M parameters, "
        f"{bundle.size_bytes / 1e6:.1f} MB (float16)"
        + (f", beside the published encoders in [`{bundle.base}`](../{bundle.base})" if bundle.base else "")
        + "\n"
        f"- Input: speech at {bundle.features.sample_rate} Hz, up to {bundle.window_s:g} s at once\n"
        f"- Version: {bundle.version}, SHA-256 of the weights `{bundle.sha256}`",
        f"## Trained on\n\n{trained_on}\n\n{origin}",
        f"## Measured\n\n{_measured(bundle.metrics)}",
    ]
    calibration = bundle.metrics.get("calibration", {})
    left_out = bundle.metrics.get("left_out", {})  # which then has the sessions of every kind
    for name, protocol in protocols.items():
        result = {key: value for key, value in protocol.items() if key != "in_sessions" or not left_out}
        if name == "leave_one_corpus_out":
            parts.append(_corpora_out(result, sessions=not left_out))
        else:
            parts.append(_by_clip(name, result, calibration if calibration.get("protocol") == name else {}))
    if left_out:
        parts.append(f"### A corpus never heard, in sessions of each kind\n\n{left_out_table(left_out)}")
    parts.append(f"## As ONNX\n\n{_onnx(bundle)}")
    speech = describe_recordings(name for name, _, _ in corpora)
    parts.append(f"## What a score means, and what this is not for\n\n{speech}\n{MEANING}")
    parts.append(f"## Licence\n\n{bundle.licence}. The program's code is MIT.")
    return "\n\n".join(parts) + "\n"


def left_out_table(measured: Mapping[str, Any]) -> str:
    """What `python -m benchmarks.left_out` measured: UAR, calibration and answers by corpus and kind."""
    names = {**{corpus: _with_language(corpus) for corpus in measured["corpora"]}, **LEFT_OUT_MEANS}
    rows = {**measured["corpora"], **{name: measured[name] for name in LEFT_OUT_MEANS if name in measured}}
    header = f"| test corpus | {' | '.join(LEFT_OUT_KINDS.values())} |\n|---|---|---|---|---|\n"
    uars = "\n".join(
        f"| {names[name]} | "
        + " | ".join(f"{kinds[kind]['uar']:.1f}" if kind in kinds else "–" for kind in LEFT_OUT_KINDS)
        + " |"
        for name, kinds in rows.items()
    )
    answered = "\n".join(
        f"| {names[name]} | " + " | ".join(_answered(kinds.get(kind)) for kind in LEFT_OUT_KINDS) + " |"
        for name, kinds in rows.items()
    )
    silenced = ", ".join(
        f"{_with_language(corpus)} {share:.1f}" for corpus, share in measured["unlike_speech"].items()
    )
    chosen = measured["chosen_on_all"]
    weights = chosen.get("joint")
    joint = f"joint model {weights[0]:g} by voice and {weights[1]:g} by emotions, " if weights else ""
    return (
        f"{LEFT_OUT}\n\n{header}{uars}\n\nPercent of clips that get an emotion, percent of those rightly, "
        f"and calibration error:\n\n{header}{answered}\n\nShipped properties, chosen on all: gate "
        f"{chosen['gate'][0]} to {chosen['gate'][1]} nats, {joint}temperature {chosen['temperature']}, "
        f"modesty {chosen['modesty']}. Percent of each corpus' clips that count as no speech, and get even "
        f"probabilities: {silenced}. `{measured['command']}`"
    )


def _onnx(bundle: Bundle) -> str:
    """Inputs and outputs of the ONNX files."""
    classes, state = f"float32 (batch, {len(bundle.labels)})", "float32 (batch, state_size)"
    speech = f"speech at {bundle.features.sample_rate} Hz in [-1, 1], at most {bundle.window_s:g} s"
    rows = [
        ("in", "samples", "float32 (batch, n_samples)", f"{speech}, zero behind a clip's end"),
        ("in", "lengths", "int64 (batch,)", "samples of each clip, at least 1"),
        ("out", "probabilities", classes, "of the labels in their order"),
    ]
    if bundle.architecture in ADAPTIVE:
        before = "what was heard of each clip's session before it; zeros at its start"
        within = "of the labels in their order, within the session; all even for a sound unlike speech"
        rows[2:] = [
            ("in", "session", state, before),
            ("out", "probabilities", classes, within),
            ("out", "alone", classes, "the same of the clip by itself"),
            ("out", "session_after", state, "`session` for the next clip of the same session"),
        ]
    table = "\n".join(f"| {way} | `{name}` | {shape} | {what} |" for way, name, shape, what in rows)
    return f"{ONNX}\n\n| | name | type and shape | what |\n|---|---|---|---|\n{table}"


def _measured(metrics: Mapping[str, Any]) -> str:
    """States which weights the numbers belong to."""
    protocols = metrics.get("protocols", {})
    if not protocols:
        return UNSEEN if "left_out" in metrics else NOT_MEASURED
    if all("runs" in result for result in protocols.values()):
        return OWN_RUN
    everyone = not any("runs" in result for result in protocols.values())
    independent = not any(result.get("speaker_dependent") for result in protocols.values())
    return OTHER_RUNS if everyone and independent else SOME_RUNS


def _by_clip(name: str, result: Mapping[str, Any], calibration: Mapping[str, Any]) -> str:
    """The section on a protocol of folds by speaker or clip, or on the shipped weights' own test."""
    speakers = list(result["speakers"].items())  # the best first
    best, worst = speakers[0], speakers[-1]
    lines = [
        f"### {_title(name, result)}",
        *([DEPENDENT] if result.get("speaker_dependent") else []),
        f"Epoch chosen by {result['selection']}; {result['interval']}.",
        f"| | {'one run' if 'runs' in result else 'mean of the folds'} | 95 % interval |\n|---|---|---|\n"
        + "\n".join(
            f"| {title} | {result[key]['mean']:.1f} | {_range(result[key]['ci95'])} |"
            for title, key in (("accuracy", "accuracy"), ("unweighted average recall", "uar"))
        ),
        f"Best {_speaker_word(name)}: {best[0]} ({best[1]:.1f}); worst: {worst[0]} ({worst[1]:.1f}); "
        f"{best[1] - worst[1]:.1f} points apart."
        + "".join(
            f" {gender.capitalize()} voices: accuracy {value['accuracy']:.1f}, UAR {value['uar']:.1f}."
            for gender, value in result.get("genders", {}).items()
        ),
    ]
    lines += [in_sessions(result["in_sessions"]).strip()] if "in_sessions" in result else []
    if calibration:
        unscaled = "; {ece_unscaled:.3f} without" if "ece_unscaled" in calibration else ""
        text = (
            "Expected calibration error {ece:.3f} at temperature {temperature:g} ({fitted_on}"
            + unscaled
            + "). "
            "Answers under {threshold:g} confidence become `unknown`: {answered:.1f} % of clips get an "
            "emotion, {accuracy_of_answered:.1f} % of those rightly. Of the 80 % of clips it is surest of, "
            "{accuracy_of_surest_80:.1f} % are right."
        )
        lines.append(text.format(**calibration))
        if "in_sessions" in calibration:
            within = calibration["in_sessions"]
            text = (
                "Within sessions: calibration error {ece:.3f}, {answered:.1f} % get an emotion, "
                "{accuracy_of_answered:.1f} % of those rightly"
            )
            if "accuracy_of_surest_80" in within:
                text += "; of the surest 80 %, {accuracy_of_surest_80:.1f} % are right"
            lines.append(text.format(**within) + ".")
        lines += _cross_corpus(calibration.get("strangers", {}))
        lines.append("![error against the share of clips that get an answer](risk_coverage.png)")
    lines.append(f"`{result['command']}`")
    return "\n\n".join(lines)


def _cross_corpus(results: Mapping[str, Any]) -> list[str]:
    """Calibration and abstention on corpora outside the training data, at the app's threshold."""
    if not results:
        return []
    rows = "\n".join(
        f"| {_with_language(corpus)} | {_answered(value)} | {_answered(value.get('in_sessions'))} |"
        for corpus, value in results.items()
    )
    return [
        "It is too sure of many voices unlike its corpora. Of a corpus that the measured model was not "
        "trained on: percent of clips that get an emotion, percent of those rightly, and calibration "
        "error.\n\n"
        f"| test corpus | clips by themselves | within a session |\n|---|---|---|\n{rows}"
    ]


def _answered(calibration: Mapping[str, Any] | None) -> str:
    if not calibration:
        return "–"
    return "{answered:.0f}, {accuracy_of_answered:.0f}, {ece:.2f}".format(**calibration)


def in_sessions(results: Mapping[str, Any]) -> str:
    """Results of a session-adaptive model within sessions; empty for other models."""
    if not results:
        return ""
    rows = "\n".join(
        f"| {SESSIONS[kind]} | {value['accuracy']:.1f} ({_range(value['accuracy_ci95'])}) "
        f"| {value['uar']:.1f} ({_range(value['uar_ci95'])}) |"
        for kind, value in results.items()
    )
    return f"\n\n{ADAPTS}\n\n| session of one unseen speaker | accuracy | UAR |\n|---|---|---|\n{rows}"


def _title(name: str, result: Mapping[str, Any]) -> str:
    if name == "ravdess_5fold":
        return "RAVDESS, eight emotions, five folds by actor"
    if "runs" in result:
        return f"{result['protocol']}: {result['clips']} clips of {len(result['speakers'])} speakers"
    return str(result["protocol"])


def _speaker_word(name: str) -> str:
    return "actor" if name.startswith("ravdess_") else "speaker"


def _corpora_out(result: Mapping[str, Any], sessions: bool) -> str:
    corpora = {name: value for name, value in result.items() if isinstance(value, Mapping)}
    rows = "\n".join(
        f"| {_with_language(name)} | {len(value['classes'])} | {value['uar']:.1f} "
        f"| {_range(value['uar_ci95'])} ({value['speakers']}) | {value['uar_four_classes']:.1f} |"
        for name, value in corpora.items()
    )
    within = ""
    if sessions and all("in_sessions" in value for value in corpora.values()):
        cells = "\n".join(
            f"| {name} | "
            + " | ".join(f"{value['in_sessions'][kind]['uar']:.1f}" for kind in SESSIONS)
            + " |"
            for name, value in corpora.items()
        )
        means = " | ".join(f"{result[f'mean_uar_{kind}']:.1f}" for kind in SESSIONS)
        within = (
            f"\n\n{ADAPTS}\n\n| test corpus, UAR | {' | '.join(SESSIONS.values())} |\n|---|---|---|---|\n"
            f"{cells}\n| mean | {means} |"
        )
    return (
        "### A corpus never trained on\n\n"
        "Trained on the other corpora, judged among the classes they share.\n\n"
        "| test corpus | classes | UAR | 95 % interval over speakers (how many) | UAR of four classes |\n"
        f"|---|---|---|---|---|\n{rows}\n\nMean UAR {result['mean_uar']:.1f}. {_by_language(corpora)}"
        f"`{result['command']}`{within}"
    )


def _with_language(corpus: str) -> str:
    return f"{corpus} ({LANGUAGES[corpus]})" if corpus in LANGUAGES else corpus


def _by_language(corpora: Mapping[str, Any]) -> str:
    """Mean UAR of the corpora of each language and their range; empty where a language is unknown."""
    if not corpora.keys() <= LANGUAGES.keys():
        return ""
    uars: dict[str, list[float]] = {}
    for name, value in corpora.items():
        uars.setdefault(LANGUAGES[name], []).append(value["uar"])
    means = {language: sum(values) / len(values) for language, values in uars.items()}
    listed = ", ".join(f"{language} {mean:.1f}" for language, mean in means.items())
    return f"By language: {listed}; {max(means.values()) - min(means.values()):.1f} points apart. "


def _range(ci95: list[float]) -> str:
    return f"{ci95[0]:.1f}–{ci95[1]:.1f}"
