"""The model card, made from what the bundle and its metrics say."""

from collections.abc import Mapping
from typing import Any

from ser_core.bundle import Bundle

ABOUT = {
    "ravdess": "RAVDESS (English, 24 actors), CC BY-NC-SA 4.0",
    "emovo": "EMOVO (Italian, 6 actors), research use",
    "nemo": "nEMO (Polish, 9 actors, a third of its clips), CC BY-NC-SA 4.0",
    "tess": "TESS (English, 2 actresses, a quarter of its clips), CC BY-NC-ND 4.0",
}
MEASURED = """## Measured

All numbers are percent, on speakers the measured models never heard. The shipped weights were trained by
the same recipe on all speakers, so these clips are no test of them: the numbers are the recipe's."""
MEANING = """## What a score means, and what this is not for

The training speech was acted, in studios, in three languages. A score says how much a voice sounds like
actors playing that emotion; it does not say what a person feels. Expect worse results on spontaneous speech,
other languages, children, and noisy or telephone recordings. Do not use it to judge people: not at work, in
schools, in hiring, in health or in policing. In the European Union, emotion recognition at work and in
education is forbidden save for medical and safety reasons (AI Act, Article 5), and people exposed to it
elsewhere must be told (Article 50)."""


def model_card(bundle: Bundle) -> str:
    """Markdown with the front matter the Hugging Face hub reads."""
    trained_on = "\n".join(f"- {_corpus(entry)}" for entry in bundle.training_data)
    protocols = bundle.metrics.get("protocols", {})
    parts = [
        "---\nlicense: cc-by-nc-sa-4.0\npipeline_tag: audio-classification\n---",
        f"# {bundle.name}",
        f"Names the emotion of a stretch of speech: {', '.join(bundle.labels)}.",
        f"- Architecture: `{bundle.architecture}`, {bundle.parameters / 1e6:.1f} M parameters, "
        f"{bundle.size_bytes / 1e6:.1f} MB (float16)\n"
        f"- Input: speech at {bundle.features.sample_rate} Hz, up to {bundle.window_s:g} s at once\n"
        f"- Version: {bundle.version}, SHA-256 of the weights `{bundle.sha256}`",
        f"## Trained on\n\n{trained_on}\n\n{_origin(bundle)}",
        MEASURED,
    ]
    if "ravdess_5fold" in protocols:
        parts.append(_five_folds(protocols["ravdess_5fold"], bundle.metrics.get("calibration", {})))
    if "leave_one_corpus_out" in protocols:
        parts.append(_corpora_out(protocols["leave_one_corpus_out"]))
    parts.append(MEANING)
    parts.append(f"## Licence\n\n{bundle.licence}. The program's code is MIT.")
    return "\n\n".join(parts) + "\n"


def _corpus(entry: str) -> str:
    name, _, speakers = entry.partition(" ")
    return f"{ABOUT.get(name, name)} {speakers}"


def _origin(bundle: Bundle) -> str:
    if not bundle.architecture.startswith("whisper"):
        return "Trained from random weights."
    _, size, *probe = bundle.architecture.split("_")
    origin = f"Fine-tuned from the encoder of openai/whisper-{size} (MIT)."
    if probe:
        origin += " A linear probe of that encoder, unchanged, stands beside it; both opinions are averaged."
    return origin


def _five_folds(found: Mapping[str, Any], calibration: Mapping[str, Any]) -> str:
    best, *_, worst = found["speakers"].items()
    lines = [
        "### RAVDESS, eight emotions, five folds by actor",
        f"Epoch chosen by {found['selection']}; {found['interval']}.",
        "| | mean of the folds | 95 % interval |\n|---|---|---|\n"
        + "\n".join(
            f"| {title} | {found[key]['mean']:.1f} | {_range(found[key]['ci95'])} |"
            for title, key in (("accuracy", "accuracy"), ("unweighted average recall", "uar"))
        ),
        f"Best actor: {best[0]} ({best[1]:.1f}); worst: {worst[0]} ({worst[1]:.1f}).",
    ]
    if calibration:
        lines.append(
            "Expected calibration error {ece:.3f} at temperature {temperature:g} ({fitted_on}; "
            "{ece_unscaled:.3f} without). Answers under {threshold:g} confidence become `unknown`: "
            "{answered:.1f} % of clips get an emotion, {accuracy_of_answered:.1f} % of those rightly.".format(
                **calibration
            )
        )
    lines.append(f"`{found['command']}`")
    return "\n\n".join(lines)


def _corpora_out(found: Mapping[str, Any]) -> str:
    corpora = {name: value for name, value in found.items() if isinstance(value, Mapping)}
    rows = "\n".join(
        f"| {name} | {len(value['classes'])} | {value['uar']:.1f} | {_range(value['uar_ci95'])} "
        f"({value['speakers']}) | {value['uar_four_classes']:.1f} |"
        for name, value in corpora.items()
    )
    return (
        "### A corpus never trained on\n\n"
        "Trained on the other three, judged among the classes they share.\n\n"
        "| test corpus | classes | UAR | 95 % interval over speakers (how many) | UAR of four classes |\n"
        f"|---|---|---|---|---|\n{rows}\n\nMean UAR {found['mean_uar']:.1f}. `{found['command']}`"
    )


def _range(ci95: list[float]) -> str:
    return f"{ci95[0]:.1f}–{ci95[1]:.1f}"
