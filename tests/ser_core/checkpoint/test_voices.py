"""The shipped networks that tell voices apart."""

import json
import shutil

import pytest

from ser_core.checkpoint import bundle, voices
from ser_core.checkpoint.bundle import WEIGHTS, BundleError
from ser_core.commands import doctor


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(voices.folder(), tmp_path / "voices")


def test_lists_of_emotion_models_leave_it_out():
    assert voices.NAME not in [shipped.name for shipped in bundle.shipped()]
    with pytest.raises(BundleError, match="there is no checkpoint 'voices'"):
        bundle.read(voices.NAME)


def test_both_licences_lie_beside_the_weights():
    licences = {path.name: path.read_text(encoding="utf-8") for path in voices.folder().glob("LICENSE*")}
    assert "Apache License" in licences["LICENSE-campplus.txt"]
    assert "Permission is hereby granted" in licences["LICENSE-segmentation.txt"]


def test_the_doctor_checks_its_hash(monkeypatch, copied):
    assert doctor.check_voices().ok
    monkeypatch.setattr(bundle, "CHECKPOINTS", copied.parent)
    with (copied / WEIGHTS).open("ab") as file:
        file.write(b"x")
    found = doctor.check_voices()
    assert not found.ok
    assert found.text.startswith("hash_mismatch")


def changed(folder, **fields):
    path = folder / voices.DESCRIPTION
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def changed_hash(folder, name, sha256):
    hashes = json.loads((folder / voices.DESCRIPTION).read_text())["sha256"]
    changed(folder, sha256={**hashes, name: sha256})


@pytest.mark.parametrize(
    ("code", "damage"),
    [
        ("not_found", lambda folder: (folder / WEIGHTS).unlink()),
        ("not_found", lambda folder: (folder / voices.DESCRIPTION).unlink()),
        ("bad_description", lambda folder: (folder / voices.DESCRIPTION).write_text("{")),
        ("bad_description", lambda folder: (folder / voices.DESCRIPTION).write_text("[]")),
        ("newer_format", lambda folder: changed(folder, format=3)),
        ("hash_mismatch", lambda folder: changed_hash(folder, WEIGHTS, "0")),
        ("bad_description", lambda folder: changed(folder, sha256="0")),
        ("not_found", lambda folder: (folder / voices.SPACE).unlink()),
        ("hash_mismatch", lambda folder: shutil.copy(folder / voices.DESCRIPTION, folder / voices.SPACE)),
    ],
)
def test_what_cannot_be_used_is_named(copied, code, damage):
    damage(copied)
    with pytest.raises(BundleError) as raised:
        voices.load(copied)
    assert raised.value.code == code
