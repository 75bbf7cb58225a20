"""The emotion classes, and the names that corpora use for them.

Order, names and spelling are those of RAVDESS, the corpus with the most classes.
"""

from dataclasses import dataclass

UNKNOWN = "unknown"  # the confidence is below the threshold
NO_SPEECH = "no_speech"  # nobody speaks
UNREADABLE = "error"  # the label of a recording that could not be read


@dataclass(frozen=True)
class Emotion:
    """One class: its name, its colour, and its place in the affect plane."""

    name: str
    color: str  # sRGB hex, from the palette of Okabe and Ito (2008), safe for colour-blind readers
    valence: float  # pleasantness, -1 to 1
    arousal: float  # activation, -1 to 1


# Valence and arousal: Russell & Mehrabian (1977), "Evidence for a three-factor theory of emotions",
# Journal of Research in Personality 11, 273-294, table of mean pleasure and arousal of 151 emotion terms:
# happy, sad, angry, fearful, disgusted, surprised, and "relaxed" for calm. Neutral is the origin.
EMOTIONS = (
    Emotion("neutral", "#8C8C8C", 0.0, 0.0),
    Emotion("calm", "#56B4E9", 0.68, -0.46),
    Emotion("happy", "#E69F00", 0.81, 0.51),
    Emotion("sad", "#0072B2", -0.63, -0.27),
    Emotion("angry", "#D55E00", -0.51, 0.59),
    Emotion("fearful", "#CC79A7", -0.64, 0.60),
    Emotion("disgust", "#009E73", -0.60, 0.35),
    Emotion("surprised", "#F0E442", 0.40, 0.67),
)
LABELS = tuple(emotion.name for emotion in EMOTIONS)
BY_NAME = {emotion.name: emotion for emotion in EMOTIONS}
UNKNOWN_COLOR = "#595959"  # of segments without a named emotion

# Names that corpora use where they differ from LABELS.
SYNONYMS = {
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "joy": "happy",
    "pleasant_surprise": "surprised",
    "sadness": "sad",
    "surprise": "surprised",
}


def canonical(name: str) -> str:
    """The name in `LABELS` for the `name` that a corpus uses; ValueError if there is none.

    >>> canonical("Joy")
    'happy'
    """
    key = name.strip().lower()
    label = SYNONYMS.get(key, key)
    if label not in BY_NAME:
        raise ValueError(f"no emotion is called {name!r}; known: {', '.join(LABELS)}")
    return label


def color_of(label: str) -> str:
    """The sRGB hex colour in which `label` is drawn; a dark grey for `unknown`."""
    return BY_NAME[label].color if label in BY_NAME else UNKNOWN_COLOR
