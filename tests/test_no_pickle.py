"""No checkpoint is unpickled; checked with Python's audit events of unpicklers."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support import ROOT, random_bundle

from ser_core.checkpoint import bundle

# Raises when an unpickler looks up a class or function, which is how a pickle runs code.
GUARD = """
    import sys
    def refuse(event, arguments):
        if event == "pickle.find_class":
            raise RuntimeError(f"unpickled {arguments}")
    sys.addaudithook(refuse)
"""


def run(code: str, *arguments: Path) -> subprocess.CompletedProcess:
    script = textwrap.dedent(GUARD) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=250
    )


def test_no_checkpoint_is_unpickled(tmp_path):
    folders = [*(shipped.path for shipped in bundle.shipped()), random_bundle(tmp_path / "random")]
    process = run(
        """
        import numpy as np
        from ser_core.checkpoint import bundle
        from ser_core.audio.waveform import SAMPLE_RATE
        from ser_core.recognition.recognizer import Recognizer
        for folder in sys.argv[1:]:
            bundle.verify(folder)
            clip = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
            print(Recognizer.load(folder, "cpu").probabilities([clip]).sum().round(3))
        """,
        *folders,
    )
    assert process.stdout.split() == ["1.0"] * len(folders), process.stderr


@pytest.mark.parametrize("loads", ["pickle.loads(pickle.dumps(Path))", "pickle._loads(pickle.dumps(Path))"])
def test_the_guard_sees_an_unpickler_at_work(loads):
    process = run(f"import pickle\nfrom pathlib import Path\n{loads}")
    assert "unpickled" in process.stderr
    assert process.returncode == 1
