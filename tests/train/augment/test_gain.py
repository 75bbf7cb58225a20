"""Gain clips loud samples; without clipping, normalised features do not change."""

import numpy as np
import torch
from support import syllables

from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import FeatureExtractor
from train.augment.gain import Gain

VOICE = syllables(1)
VOICE = VOICE / np.abs(VOICE).max()  # as training clips stand


def features(samples):
    extract = FeatureExtractor(FeatureSpec())
    return extract(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))[0]


def test_a_gain_cuts_peaks_off_at_full_scale():
    loud = Gain().apply(VOICE, {"gain_db": 12.0})
    assert np.abs(loud).max() == 1
    assert 0.01 < np.mean(np.abs(loud) == 1) < 0.5
    untouched = np.abs(VOICE) < 0.2
    np.testing.assert_allclose(loud[untouched], VOICE[untouched] * 10 ** (12 / 20), rtol=1e-5)


def test_features_see_the_clipping_but_no_attenuation():
    quiet, loud = (Gain().apply(VOICE, {"gain_db": db}) for db in (-12.0, 12.0))
    torch.testing.assert_close(features(quiet), features(VOICE), atol=1e-3, rtol=0)
    assert (features(loud) - features(VOICE)).abs().mean() > 0.05
