"""`doctor`: finds what is broken, and mends the one thing it can."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from support import ROOT, random_bundle

from ser_core.commands import doctor


def run_doctor(*arguments: str, before: Path) -> subprocess.CompletedProcess:
    """`doctor` in a process where the modules in the folder `before` come before the installed ones."""
    environment = {**os.environ, "PYTHONPATH": str(before)}
    command = [sys.executable, "-m", "ser_core", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


@pytest.fixture
def broken_torchaudio(tmp_path) -> Path:
    """A folder with a copy of torchaudio as its Linux wheel unpacks it."""
    if torch.version.cuda is not None:
        pytest.skip("this torch has CUDA: torchaudio's extension loads beside it")
    package = tmp_path / "torchaudio"
    shutil.copytree(find_spec("torchaudio").submodule_search_locations[0], package)
    for path in (package / "lib").glob("*" + doctor.UNUSED_SUFFIX):
        path.rename(path.with_suffix(""))
    if not doctor.set_aside_cuda_extensions(shutil.copytree(package, tmp_path / "trial")):
        pytest.skip("this torchaudio has no CUDA extension")
    return tmp_path


def test_repair_makes_torchaudio_work_beside_a_cpu_only_torch(broken_torchaudio):
    lib = broken_torchaudio / "torchaudio" / "lib"
    extensions = sorted(path.name for path in lib.glob("*.so"))
    first = run_doctor("--repair", before=broken_torchaudio)
    second = run_doctor("--repair", before=broken_torchaudio)
    assert (first.returncode, second.returncode) == (0, 0), first.stdout + first.stderr
    assert extensions[0] in first.stdout
    assert "nothing to repair" in second.stdout
    assert sorted(path.name for path in lib.glob("*.so*")) == [name + ".unused" for name in extensions]


def test_the_page_starts_where_nobody_has_repaired_anything(broken_torchaudio):
    environment = {**os.environ, "PYTHONPATH": str(broken_torchaudio)}
    command = [sys.executable, "-c", "import app, torchaudio; print(torchaudio.__file__)"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert str(broken_torchaudio) in done.stdout


def test_repair_touches_nothing_when_another_thing_is_wrong(tmp_path):
    lib = tmp_path / "torchaudio" / "lib"
    lib.mkdir(parents=True)
    (lib / "x.so").write_bytes(doctor.CUDA_LIBRARY)
    (tmp_path / "torchaudio" / "__init__.py").write_text("raise ImportError('half installed')")
    done = run_doctor("--repair", before=tmp_path)
    assert done.returncode == 1
    assert "half installed" in done.stdout
    assert (lib / "x.so").is_file()


@pytest.mark.parametrize(("cuda", "state"), [("13.0", "loaded"), ("12.8", "not loaded")])
def test_an_extension_is_left_alone_where_torch_has_another_cuda(tmp_path, cuda, state):
    lib = tmp_path / "torchaudio" / "lib"
    lib.mkdir(parents=True)
    (lib / "x.so").write_bytes(doctor.CUDA_LIBRARY)
    (tmp_path / "torchaudio" / "__init__.py").write_text("from . import _extension")
    (tmp_path / "torchaudio" / "_extension.py").write_text("print('loaded')")
    (tmp_path / "torchaudio" / "version.py").write_text("__version__ = '2.11.0+cu130'\n")
    code = f"""
import torch; torch.version.cuda = '{cuda}'
from ser_core.models import torchaudio_import
torchaudio = torchaudio_import.load()
if not getattr(torchaudio._extension, "_IS_TORCHAUDIO_EXT_AVAILABLE", True): print("not loaded")
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == state
    assert os.listdir(lib) == ["x.so"]


def test_only_extensions_linked_against_cuda_are_set_aside(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "cuda.so").write_bytes(b"\x7fELF\x00libtorch_cuda.so\x00libc.so.6\x00")
    (tmp_path / "lib" / "plain.so").write_bytes(b"\x7fELF\x00libtorch_cpu.so\x00libc.so.6\x00")
    assert [path.name for path in doctor.set_aside_cuda_extensions(tmp_path)] == ["cuda.so"]
    assert doctor.set_aside_cuda_extensions(tmp_path) == []
    assert sorted(os.listdir(tmp_path / "lib")) == ["cuda.so.unused", "plain.so"]


def test_all_is_well_here_and_a_missing_microphone_is_only_a_note(tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    done = run_doctor(before=tmp_path)
    states = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines()}
    assert states.pop("microphone:") == "note"
    assert set(states.values()) == {"ok"}, done.stdout
    assert done.returncode == 0


def test_a_broken_package_is_named_and_hides_nothing_else(tmp_path):
    (tmp_path / "soundfile.py").write_text("raise OSError('sndfile library not found\\nand more')")
    (tmp_path / "av.py").write_text("raise ImportError('av is half installed')")
    done = run_doctor(before=tmp_path)
    assert done.returncode == 1
    assert "FAILED soundfile: sndfile library not found; run `make setup` again\n" in done.stdout
    assert "FAILED pyav: av is half installed" in done.stdout
    assert "ok     webrtcvad" in done.stdout


def test_a_changed_checkpoint_is_found(tmp_path):
    folder = random_bundle(tmp_path / "mine")
    assert doctor.check_checkpoint(folder).ok
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    check = doctor.check_checkpoint(folder)
    assert check.line.startswith("FAILED checkpoint mine: hash_mismatch: ")
