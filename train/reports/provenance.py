"""Origin and licence of weights: corpora, published encoders, terms of use."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ABOUT = {
    "ravdess": "RAVDESS (English, 24 actors), CC BY-NC-SA 4.0",
    "emovo": "EMOVO (Italian, 6 actors), research use",
    "nemo": "nEMO (Polish, 9 actors, a third of its clips), CC BY-NC-SA 4.0",
    "tess": "TESS (English, 2 actresses, a quarter of its clips), CC BY-NC-ND 4.0",
    "crema_d": "CREMA-D (English, 91 actors), Open Database License",
    "ased": "ASED (Amharic, 65 speakers), free to download, no licence stated",
    "aesdd": "AESDD (Greek, 6 actors), CC BY 4.0",
    "emospeech_india": "Indian EmoSpeech (English, 106 speakers, single words in phones and streets), "
    "CC BY-NC-SA 4.0",
}
LANGUAGES = {
    "ravdess": "English",
    "emovo": "Italian",
    "nemo": "Polish",
    "tess": "English",
    "crema_d": "English",
    "ased": "Amharic",
    "aesdd": "Greek",
}
NON_COMMERCIAL = frozenset({"ravdess", "emovo", "nemo", "tess", "ased", "emospeech_india"})
COMMERCIAL = frozenset({"crema_d", "aesdd"})  # may be used and shared by companies, with attribution
LICENCE = "CC BY-NC-SA 4.0 (non-commercial, because of the corpora it was trained on)"
OPEN_LICENCE = "CC BY 4.0 (the corpora it was trained on allow commercial use; name them)"
LICENCE_ID = "cc-by-nc-sa-4.0"  # its name in the front matter that the Hugging Face hub reads
# Published weights by architecture; those of `speech_encoder` depend on its options.
PUBLISHED = {
    "whisper_tiny": "the encoder of openai/whisper-tiny (MIT)",
    "whisper_base": "the encoder of openai/whisper-base (MIT)",
    "whisper_base_adaptive": "the lower four layers of the encoder of openai/whisper-base (MIT)",
    "whisper_base_campplus_adaptive": "the lower four layers of the encoder of openai/whisper-base (MIT) and "
    "the lower part of 3D-Speaker's CAM++ (Apache 2.0)",
    "whisper_tiny_adaptive": "the lower three layers of the encoder of openai/whisper-tiny (MIT)",
    "whisper_tiny_distilled": "the stem and lowest layer of the encoder of openai/whisper-tiny (MIT)",
    "vgg16_transfer": "torchvision's VGG16 (BSD 3-Clause), trained on ImageNet, whose pictures are for "
    "non-commercial research",
    "vggish_transfer": "VGGish (Apache 2.0), trained on sounds of YouTube",
    "speech_encoder": "{bundle} of torchaudio.pipelines (MIT)",
}
# Of these only the heads are trained, unless the recipe has encoder_epochs.
HEADS_ALONE = ("whisper_base_adaptive", "whisper_base_campplus_adaptive", "whisper_tiny_adaptive")
DEFAULT_BUNDLE = "WAV2VEC2_BASE"  # of `speech_encoder`


def origin(recipe: Mapping[str, Any]) -> str:
    """The initial weights of a training run, in a sentence or two; `recipe` as in the run's recipe.json."""
    pretrained, options, teacher = Path(recipe["pretrained"]), recipe["options"], recipe.get("teacher", "")
    if not recipe["pretrained"]:
        return "Trained from random weights."
    bundle = options.get("bundle", DEFAULT_BUNDLE)
    source = PUBLISHED.get(recipe["architecture"], "published weights").format(bundle=bundle)
    file = f", read from the file {pretrained.name}" if pretrained.suffix else ""
    epochs = recipe.get("encoder_epochs", 0)
    if options.get("frozen") or (recipe["architecture"] in HEADS_ALONE and not epochs):
        text = f"A head trained on {source}{file}, kept as it was published."
    else:
        text = f"Fine-tuned from {source}{file}."
    if epochs:
        text += f" Heads came first; then all above its lowest {recipe['frozen_layers']} layers was tuned."
    if teacher:
        text += f" It learned to give the embeddings of {PUBLISHED[teacher]}; then its heads were fitted."
    if recipe.get("probe_decay"):
        text += " A linear probe of that encoder, unchanged, stands beside it; both opinions are averaged."
    return text


def describe_corpus(corpus: str) -> str:
    """A corpus with its size and licence, where these are known here."""
    return ABOUT.get(corpus, f"{corpus} (its own terms decide)")


def describe_recordings(corpora: Iterable[str]) -> str:
    """How the training speech was recorded, where that is known here."""
    names = list(dict.fromkeys(corpora))
    if any(name not in LANGUAGES for name in names):
        return "How the training speech was recorded, the corpora's own descriptions say; most are acted."
    *other_languages, last = dict.fromkeys(LANGUAGES[name] for name in names)
    languages = f"{', '.join(other_languages)} and {last}" if other_languages else last
    return f"The training speech was acted, in studios, in {languages}."


def licence(corpora: Iterable[str]) -> str:
    """The licence of weights trained on `corpora`."""
    names = list(dict.fromkeys(corpora))
    if names and COMMERCIAL.issuperset(names):
        return OPEN_LICENCE
    unknown = ", ".join(name for name in names if name not in NON_COMMERCIAL | COMMERCIAL)
    if not unknown:
        return LICENCE
    if any(name in NON_COMMERCIAL for name in names):
        return f"{LICENCE}; the terms of {unknown} come on top"
    return f"not stated: the terms of the corpora it was trained on decide ({unknown})"
