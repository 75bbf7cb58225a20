"""Who speaks: diarisation error, voices counted right, and time with the right voice.

    python benchmarks/voices.py --data ../shared/data

prints tables and writes benchmarks/results/voices.json. Recordings:

made   200 conversations of two to four voices and 70 of one voice through all its emotions for two minutes,
       made of clips of emotional corpora (conversations.py). The space of voices and the weights that choose
       their number are fitted on the other corpora than the one that is reported; the weights, with spaces
       that know neither the corpus that is reported nor the one that they are fitted on.
real   excerpts of AMI meetings whose marks are complete, and five more files. They choose nothing; their
       space and weights are those fitted on all that was made, which are the ones in use.

"?" and the flag for overlap are compared with the truth in voice_flags.py, the emotions of clips under the
voices that are found with those under the true ones in voice_emotions.py.

Error: missed speech, false alarm and speech of the wrong voice, in % of the true speech, 0.25 s around each
true start and end not counted (collar). "Right": time with the right voice in % of that in which one voice
speaks, with the same collar; "no collar": all of that time. What the networks hear is kept in --cache.
The space fitted on all goes to --cache too, as `space.safetensors`, for `train.export.voices`.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parents[1]))  # run from a clone, nothing installed

import conversations
import voice_emotions
import voice_flags
from diarization_error import Score, score
from heard import Heard, hear, read_rttm, voices_in
from safetensors.numpy import save_file

from ser_core.audio.vad import segment
from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.checkpoint import voices as checkpoint
from ser_core.models.voice_space import VoiceSpace
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.voice_clusters import (
    NumberWeights,
    evidence,
    groupings,
    points_of,
    voices_of,
)
from ser_core.recognition.voice_pieces import PieceCutter
from train.fitting import voice_space

RESULTS = Path(__file__).parent / "results" / "voices.json"
AMI = ("ami_dev00", "ami_trn03", "ami_trn05", "ami_trn06", "ami_trn09", "ami_tst00")  # all speech is marked
OTHER = (
    "pyannote_sample",
    "pyaa_diarizationExample",
    "pyaa_diarizationExample2",
    "pyaa_count",
    "pyaa_count2",
)
RIDGE = 0.01  # of the fitted weights, which are standardised for it

EMOTIONS = conversations.CONVERSATIONS  # conversations in which clips are judged, those of several voices

Choices = tuple[NDArray[np.float64], list[int]]


def real(data: Path, cutter: PieceCutter, cache: Path) -> list[Heard]:
    """The real recordings as the networks hear them."""
    found = []
    for name in (*AMI, *OTHER):
        samples, _ = soundfile.read(data / "vad" / f"{name}.flac", dtype="float32")
        truth = read_rttm(data / "vad" / f"{name}.rttm", len(samples) / SAMPLE_RATE)
        found.append(hear(name, "real", samples, truth, cutter, cache))
    return found


def made(data: Path, cutter: PieceCutter, cache: Path) -> list[Heard]:
    """The made conversations as the networks hear them."""
    found = []
    for corpus, voices, number in conversations.plan(data):
        talk = conversations.make(data, corpus, voices, number)
        found.append(hear(talk.name, corpus, talk.samples, talk.truth, cutter, cache, talk.talks))
    return found


def true_voices(heard: Heard) -> int:
    return len({voice for _, _, voice in heard.truth})


def space_of(recordings: Sequence[Heard], *without: str) -> VoiceSpace:
    """The space fitted on the recordings that are not of the corpora `without`."""
    return voice_space.fit(voices_in(heard) for heard in recordings if heard.corpus not in without)


def choices(heard: Heard, space: VoiceSpace) -> Choices:
    """The evidence `(number, 3)` for each number of voices that is possible, and these numbers."""
    points = points_of([piece for piece in heard.pieces if piece.embedding is not None])
    found = groupings(points)
    return evidence(points, list(found.values()), space), list(found)


def fit(recordings: Sequence[Heard], rows: dict[str, Choices]) -> NumberWeights:
    """Weights under which the true numbers are most likely: conditional logit (McFadden 1974) with a ridge.

    A number of voices counts the same in all, however many recordings have it.
    """
    examples = [
        (rows[heard.name][0], rows[heard.name][1].index(true_voices(heard)), true_voices(heard))
        for heard in recordings
        if true_voices(heard) in rows[heard.name][1]
    ]
    scale = np.concatenate([values for values, _, _ in examples]).std(axis=0) + 1e-6
    counts = np.bincount([voices for _, _, voices in examples])

    def loss(weights: NDArray[np.float64]) -> float:
        total = 0.0
        for values, index, voices in examples:
            scores = values / scale @ weights
            total += (np.logaddexp.reduce(scores) - scores[index]) / counts[voices]
        return total / np.count_nonzero(counts) + RIDGE * float(weights @ weights)

    fitted = minimize(loss, np.zeros(len(scale))).x / scale
    return NumberWeights(*(round(float(value), 2) for value in fitted))


def judged(heard: Heard, space: VoiceSpace, weights: NumberWeights, voices: int | None = None) -> Score:
    """The score of what is found in a recording; `voices`: their number, if it is told."""
    found = list(zip(heard.pieces, voices_of(heard.pieces, space, voices, weights), strict=True))
    named = [(piece.span.start, piece.span.end, voice) for piece, voice in found if voice is not None]
    unsure = [(piece.span.start, piece.span.end) for piece, voice in found if voice is None]
    return score(heard.truth, named, unsure, heard.n_samples)


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Means over recordings, in percent."""
    right_number = [found.voices == found.true_voices for found in scores]
    means = {
        "right": np.mean([found.right for found in scores]),
        "right_median": np.median([found.right for found in scores]),
        "right_no_collar": np.mean([found.right_all for found in scores]),
        "unsure": np.mean([found.unsure for found in scores]),
        "number_right": np.mean(right_number),
        "error": np.mean([found.error for found in scores]),
        "error_without_overlap": np.mean([found.error_single for found in scores]),
    }
    return {"recordings": len(scores)} | {name: round(100 * float(value), 1) for name, value in means.items()}


def fitted(recordings: Sequence[Heard], *without: str) -> tuple[VoiceSpace, NumberWeights]:
    """Space and weights fitted on the recordings that are not of the corpora `without`."""
    used = [heard for heard in recordings if heard.corpus not in without]
    spaces = {corpus: space_of(used, corpus) for corpus in {heard.corpus for heard in used}}
    rows = {heard.name: choices(heard, spaces[heard.corpus]) for heard in used}
    return space_of(used), fit(used, rows)


def nested(recordings: Sequence[Heard]) -> dict[str, tuple[VoiceSpace, NumberWeights]]:
    """For each corpus, what is fitted on the others."""
    return {corpus: fitted(recordings, corpus) for corpus in sorted({heard.corpus for heard in recordings})}


def on_made(
    recordings: Sequence[Heard], models: dict[str, tuple[VoiceSpace, NumberWeights]]
) -> dict[str, object]:
    """Results on each corpus with what is fitted on the others, by the number of voices and by corpus."""
    corpora = list(models)
    found = {heard.name: judged(heard, *models[heard.corpus]) for heard in recordings}
    told = {heard.name: judged(heard, *models[heard.corpus], true_voices(heard)) for heard in recordings}

    def of(scores: dict[str, Score], voices: int, corpus: str | None = None) -> dict[str, float]:
        return summary(
            [
                scores[heard.name]
                for heard in recordings
                if true_voices(heard) == voices and corpus in (None, heard.corpus)
            ]
        )

    numbers = sorted({true_voices(heard) for heard in recordings})
    return {
        "voices_found": {str(number): of(found, number) for number in numbers},
        "number_told": {str(number): of(told, number) for number in numbers if number > 1},
        "by_corpus": {
            corpus: {
                str(number): of(found, number, corpus)
                for number in numbers
                if any(true_voices(heard) == number and heard.corpus == corpus for heard in recordings)
            }
            for corpus in corpora
        },
    }


def unsure_on_made(
    recordings: Sequence[Heard], models: dict[str, tuple[VoiceSpace, NumberWeights]]
) -> dict[str, object]:
    """How far "?" is right in conversations of several voices, with their number found and told."""
    several = [heard for heard in recordings if true_voices(heard) > 1]

    def found(heard: Heard, margin: float) -> list[int | None]:
        space, weights = models[heard.corpus]
        return voices_of(heard.pieces, space, None, weights, margin)

    def told(heard: Heard, margin: float) -> list[int | None]:
        space, weights = models[heard.corpus]
        return voices_of(heard.pieces, space, true_voices(heard), weights, margin)

    return {
        "voices_found": voice_flags.unsure(several, found),
        "number_told": voice_flags.unsure(several, told),
    }


def emotions(
    recordings: Sequence[Heard],
    models: dict[str, tuple[VoiceSpace, NumberWeights]],
    data: Path,
    cache: Path,
    number: int,
) -> dict[str, object]:
    """What telling voices apart costs in emotion, in the first `number` conversations of several voices."""
    several = [heard for heard in recordings if true_voices(heard) > 1][:number]
    found = []
    for heard in several:
        space, weights = models[heard.corpus]
        index = int(heard.name.rsplit("_", 1)[1])
        found.append(voice_emotions.Found(heard, index, voices_of(heard.pieces, space, None, weights)))
    return voice_emotions.recalls(Recognizer.load(device="cpu"), data, found, cache)


def on_real(recordings: Sequence[Heard], space: VoiceSpace, weights: NumberWeights) -> dict[str, object]:
    """Results on each real recording, found and told, and the means over AMI's."""
    files = {}
    for heard in recordings:
        found, told = judged(heard, space, weights), judged(heard, space, weights, true_voices(heard))
        files[heard.name] = {
            "scored_s": round(found.scored_s, 1),
            "error": round(100 * found.error, 1),
            "error_without_overlap": round(100 * found.error_single, 1),
            "voices": found.voices,
            "true_voices": found.true_voices,
            "error_number_told": round(100 * told.error, 1),
        }
    means = {
        key: round(float(np.mean([files[name][key] for name in AMI])), 1)
        for key in ("error", "error_without_overlap", "error_number_told")
    }
    ami = [heard for heard in recordings if heard.name in AMI]
    return {"files": files, "ami_mean": means, "ami_overlap_flag": voice_flags.overlap(ami)}


def cost(data: Path, cutter: PieceCutter) -> dict[str, float]:
    """Milliseconds of both networks for a second of speech, on one thread."""
    torch.set_num_threads(1)
    corpus, voices, number = conversations.plan(data)[0]
    talk = conversations.make(data, corpus, voices, number)
    spans = segment(Waveform(talk.samples))
    speech = sum(span.end - span.start for span in spans) / SAMPLE_RATE
    times = []
    for _ in range(3):
        start = time.perf_counter()
        [cutter.pieces(talk.samples[span.start : span.end], span, 0) for span in spans]
        times.append(time.perf_counter() - start)
    return {"speech_s": round(speech, 1), "ms_per_second_of_speech": round(1000 * min(times) / speech, 1)}


def show(result: dict) -> None:
    """Prints the tables."""
    for title in ("voices_found", "number_told"):
        print(f"\nmade conversations, {title.replace('_', ' ')}: % of recordings or of time")
        print(
            f"{'voices':8}{'files':>7}{'right':>8}{'median':>8}{'no collar':>11}"
            f"{'?':>6}{'number':>8}{'error':>7}"
        )
        for number, row in result["made"][title].items():
            print(
                f"{number:8}{row['recordings']:7}{row['right']:8}{row['right_median']:8}"
                f"{row['right_no_collar']:11}{row['unsure']:6}{row['number_right']:8}{row['error']:7}"
            )
    print("\nmade conversations by corpus (left out of the fit): right / number right")
    for corpus, rows in result["made"]["by_corpus"].items():
        cells = (f"{n}: {row['right']:5} / {row['number_right']:5}" for n, row in rows.items())
        print(f"{corpus:10}" + "   ".join(cells))
    print(
        f"\nreal recordings\n{'file':26}{'scored s':>9}{'error':>7}"
        f"{'one at a time':>15}{'voices':>9}{'told':>7}"
    )
    for name, row in result["real"]["files"].items():
        print(
            f"{name:26}{row['scored_s']:9}{row['error']:7}{row['error_without_overlap']:15}"
            f"{row['voices']:>5} of {row['true_voices']}{row['error_number_told']:6}"
        )
    print('\n"?" in made conversations, by the margin:')
    for title, rows in result["made"]["unsure"].items():
        for margin, row in rows.items():
            print(f"{title:14}{margin:>6}  {row}")
    print("AMI, mean:", result["real"]["ami_mean"])
    print("AMI, flag for overlap:", result["real"]["ami_overlap_flag"])
    if "emotions" in result["made"]:
        print("emotion, unweighted average recall:", result["made"]["emotions"])
    print("weights in use:", result["weights_in_use"])
    print("cost:", result["cost"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Who speaks: errors on made and real conversations.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the corpora")
    parser.add_argument("--cache", type=Path, default=Path("runs/voices"), help="what the networks heard")
    parser.add_argument("--emotions", type=int, default=EMOTIONS, help="conversations whose clips are judged")
    args = parser.parse_args()
    loaded = checkpoint.load()
    cutter = PieceCutter(loaded.networks, loaded.middle_weights)
    recordings = made(args.data, cutter, args.cache)
    space, weights = fitted(recordings)
    save_file(
        {  # in C order: `save_file` writes an array's memory as it lies
            name: np.ascontiguousarray(values, np.float32) for name, values in vars(space).items()
        },
        args.cache / "space.safetensors",
    )
    models = nested(recordings)
    made_result = on_made(recordings, models) | {"unsure": unsure_on_made(recordings, models)}
    if args.emotions:
        made_result["emotions"] = emotions(recordings, models, args.data, args.cache, args.emotions)
    result = {
        "command": shlex.join(["python", *sys.argv]),
        "weights_in_use": vars(weights),
        "made": made_result,
        "real": on_real(real(args.data, cutter, args.cache), space, weights),
        "cost": cost(args.data, cutter),
    }
    show(result)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
