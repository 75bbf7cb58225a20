"""Whether this machine has what SER Studio needs, one line a thing, and the one repair it can make itself.

Everything is imported inside the check that is about it, so that one broken package never hides the others.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ser_core.errors import how_to_install
from ser_core.models import torchaudio_import

MIN_PYTHON = (3, 11)
NEEDED_FORMATS = {"WAV", "FLAC", "OGG", "MP3"}  # libsndfile's names
CUDA_LIBRARY = b"libtorch_cuda.so"  # what an extension built for CUDA names in its dynamic section
UNUSED_SUFFIX = ".unused"
REINSTALL = how_to_install()
# In a process of its own: a failed import leaves half a package in sys.modules.
PROBE = (
    "torchaudio.transforms.MelSpectrogram(16000, n_mels=40)(torch.zeros(16000)); "
    "print(torchaudio.__version__)"
)
IMPORT_AS_IT_IS = "import torch, torchaudio; "
IMPORT_AS_USED_HERE = (
    "import torch; from ser_core.models import torchaudio_import; torchaudio = torchaudio_import.load(); "
)


@dataclass(frozen=True)
class Check:
    """What was found about one thing the program uses."""

    name: str
    ok: bool
    text: str  # what is there, or what to do
    needed: bool = True  # analysing a file does not work without it

    @property
    def line(self) -> str:
        """The check as one line of text."""
        state = "ok" if self.ok else "FAILED" if self.needed else "note"
        return f"{state:<7}{self.name}: {self.text}"


def checks() -> Iterator[Check]:
    """Every check, in the order in which one thing needs the other."""
    yield check_python()
    yield check_torch()
    yield check_torchaudio()
    yield check_soundfile()
    yield check_pyav()
    yield check_webrtcvad()
    yield check_microphones()
    yield from check_checkpoints()


def check_python() -> Check:
    """The interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MIN_PYTHON:
        return Check("python", False, f"{version} is too old: install Python 3.11 or newer")
    return Check("python", True, version)


def check_torch() -> Check:
    """PyTorch and the device that `--device auto` takes."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("torch", False, f"{first_line(error)}; {REINSTALL}")
    if torch.cuda.is_available():
        device = f"cuda ({torch.cuda.get_device_name()})"
    else:
        device = "mps" if torch.backends.mps.is_available() else "cpu"
    return Check("torch", True, f"{torch.__version__}, device {device}")


def check_torchaudio() -> Check:
    """Whether torchaudio computes a spectrogram, imported as this program imports it."""
    works, text = probe_torchaudio(IMPORT_AS_USED_HERE)
    return Check("torchaudio", works, text if works else f"{text}; {REINSTALL}")


def check_soundfile() -> Check:
    """The decoder of WAV, FLAC, Ogg, Opus and MP3."""
    try:
        import soundfile
    except (ImportError, OSError) as error:
        return Check("soundfile", False, f"{first_line(error)}; {REINSTALL}")
    missing = sorted(NEEDED_FORMATS - set(soundfile.available_formats()))
    if missing:
        return Check("soundfile", False, f"cannot read {', '.join(missing)}; {REINSTALL}")
    return Check(
        "soundfile", True, f"libsndfile {soundfile.__libsndfile_version__}: WAV, FLAC, Ogg, Opus, MP3"
    )


def check_pyav() -> Check:
    """The decoder of M4A, WebM and MP4."""
    try:
        import av
    except (ImportError, OSError) as error:
        return Check("pyav", False, f"{first_line(error)}; {REINSTALL}")
    return Check("pyav", True, f"{av.__version__}: M4A, WebM, MP4")


def check_webrtcvad() -> Check:
    """The speech detector, on one silent frame."""
    try:
        import webrtcvad

        webrtcvad.Vad(2).is_speech(bytes(960), 16_000)
    except (ImportError, OSError) as error:
        return Check("webrtcvad", False, f"{first_line(error)}; {REINSTALL}")
    return Check("webrtcvad", True, "speech detection")


def check_microphones() -> Check:
    """PortAudio and the microphones it sees; files and the page work without either."""
    try:
        import sounddevice
    except (ImportError, OSError):
        text = "no PortAudio: for `listen` install it (Debian: apt install libportaudio2)"
        return Check("microphone", False, text, needed=False)
    try:
        devices = sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        return Check("microphone", False, f"{first_line(error)}", needed=False)
    names = [device["name"] for device in devices if device["max_input_channels"] > 0]
    if not names:
        text = "none found: `listen` needs one; files and the page do not"
        return Check("microphone", False, text, needed=False)
    return Check("microphone", True, ", ".join(names))


def check_checkpoints() -> Iterator[Check]:
    """Every shipped checkpoint against its SHA-256; and that the default one is there."""
    try:
        from ser_core.checkpoint import bundle
    except (ImportError, OSError) as error:
        yield Check("checkpoints", False, f"cannot be read: {first_line(error)}")
        return
    folders = sorted(path.parent for path in bundle.CHECKPOINTS.glob("*/bundle.json"))
    if bundle.DEFAULT not in [folder.name for folder in folders]:
        text = f"missing from {bundle.CHECKPOINTS}: restore it with `git checkout -- checkpoints`"
        yield Check(f"checkpoint {bundle.DEFAULT}", False, text)
    yield from map(check_checkpoint, folders)
    yield check_voices()


def check_voices() -> Check:
    """The networks that tell voices apart, against their SHA-256."""
    from ser_core.checkpoint import voices
    from ser_core.checkpoint.bundle import BundleError

    try:
        voices.verify()
    except BundleError as error:
        return Check("checkpoint voices", False, f"{error.code}: {error.message}", needed=False)
    return Check("checkpoint voices", True, "SHA-256 matches")


def check_checkpoint(folder: Path) -> Check:
    """One checkpoint's weights against their SHA-256."""
    from ser_core.checkpoint import bundle

    name = f"checkpoint {folder.name}"
    try:
        bundle.verify(folder)
    except bundle.BundleError as error:
        return Check(name, False, f"{error.code}: {error.message}")
    return Check(name, True, "SHA-256 matches")


def probe_torchaudio(statement: str = IMPORT_AS_IT_IS) -> tuple[bool, str]:
    """Whether torchaudio works in a fresh process, and its version or the error's last line."""
    command = [sys.executable, "-c", statement + PROBE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    return done.returncode == 0, lines[-1] if lines else f"the process ended with {done.returncode}"


def repair_torchaudio() -> Check:
    """Make `import torchaudio` work beside a torch without its CUDA; change nothing in any other case.

    torchaudio 2.11's Linux wheel loads an extension built for CUDA at import and raises OSError where torch
    has none, or another one. It runs without the extension, which only serves functions not used here.
    """
    works, text = probe_torchaudio()
    if works:
        return Check("torchaudio", True, f"{text}, nothing to repair")
    package = torchaudio_import.folder()
    if package is None:
        return Check("torchaudio", False, f"not installed; {REINSTALL}")
    import torch

    if not text.startswith("OSError") or torch.version.cuda == torchaudio_import.built_for(package):
        return Check("torchaudio", False, f"cannot be repaired here ({text}); {REINSTALL}")
    try:
        moved = set_aside_cuda_extensions(package)
    except OSError as error:
        return Check("torchaudio", False, f"cannot set its CUDA extension aside: {first_line(error)}")
    works, text = probe_torchaudio()
    if not works:
        return Check("torchaudio", False, f"still broken ({text}); {REINSTALL}")
    names = ", ".join(path.name for path in moved)
    return Check("torchaudio", True, f"{text}; set aside what this torch cannot load: {names}")


def set_aside_cuda_extensions(package: Path) -> list[Path]:
    """Rename extensions in `package`/lib linked against CUDA to *.so.unused; returns their old paths."""
    linked = [path for path in sorted((package / "lib").glob("*.so")) if CUDA_LIBRARY in path.read_bytes()]
    for path in linked:
        os.replace(path, path.with_name(path.name + UNUSED_SUFFIX))
    return linked


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
