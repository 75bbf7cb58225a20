"""Every codec changes speech and keeps it aligned in time."""

import numpy as np
import pytest
from support import syllables

from train.augment.codec import CODECS, FIXED_RATE, Codec

VOICE = syllables(2)


def applied(codec: str, compression: float = 0.9):
    draw = {"codec": codec} | ({} if codec in FIXED_RATE else {"compression": compression})
    return Codec().apply(VOICE, draw)


@pytest.mark.parametrize("codec", CODECS)
def test_speech_stays_in_its_place(codec):
    decoded = applied(codec)
    assert len(decoded) == len(VOICE)
    spectra = np.fft.rfft(VOICE, 2 * len(VOICE)) * np.conj(np.fft.rfft(decoded, 2 * len(VOICE)))
    assert int(np.fft.irfft(spectra).argmax()) in (0, 1, 2 * len(VOICE) - 1)
    assert 0.8 < np.corrcoef(decoded, VOICE)[0, 1] < 1 - 1e-7


@pytest.mark.parametrize("codec", sorted(set(CODECS) - set(FIXED_RATE)))
def test_the_more_compressed_the_less_alike(codec):
    alike = [np.corrcoef(applied(codec, compression), VOICE)[0, 1] for compression in (0.1, 0.99)]
    assert alike[0] > alike[1]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("n_samples", [1, 200, 1600])
def test_a_clip_shorter_than_a_frame_of_the_codec_keeps_its_length(codec, n_samples):
    draw = {"codec": codec} | ({} if codec in FIXED_RATE else {"compression": 0.9})
    decoded = Codec().apply(VOICE[9000:][:n_samples], draw)
    assert len(decoded) == n_samples
    assert np.isfinite(decoded).all()


def test_louder_than_full_scale_is_not_cut_off():
    loud = VOICE * 2 / np.abs(VOICE).max()
    decoded = Codec().apply(loud, {"codec": "mu_law"})
    assert np.abs(decoded).max() > 1.5


def test_every_named_codec_is_drawn_and_no_other():
    rng = np.random.default_rng(0)
    drawn = {Codec(codecs=("gsm", "mp3")).draw(rng)["codec"] for _ in range(50)}
    assert drawn == {"gsm", "mp3"}


@pytest.mark.parametrize("codecs", [(), ("mp4",), "mp3"])
def test_unknown_codecs_are_refused(codecs):
    with pytest.raises(ValueError, match="codecs must be some of mu_law, a_law, gsm, opus, vorbis, mp3"):
        Codec(codecs=codecs)
