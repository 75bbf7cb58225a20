"""The command line: what it prints, where, and with which exit code."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from pympi import Elan
from support import ROOT, syllables, write_wav
from typer.testing import CliRunner

from ser_core.commands.cli import app
from ser_core.export import WRITERS
from ser_core.models.registry import ARCHITECTURES


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def sources(text: str) -> list[str]:
    return [entry["source"] for entry in json.loads(text)]


def test_analyze_prints_a_json_list_on_stdout_and_progress_on_stderr(folder, model):
    result = run("analyze", "talk/a.wav", "--model", model)
    [entry] = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (entry["source"], entry["error"], entry["model"]["name"]) == ("talk/a.wav", None, "random")
    assert sum(entry["segments"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert "talk/a.wav" in result.stderr


def test_folders_are_read_recursively_for_recordings(folder, model):
    result = run("analyze", "talk", "--model", model)
    assert sources(result.stdout) == ["talk/a.wav", "talk/quiet.wav", "talk/more/a.WAV"]
    assert result.exit_code == 0


def test_patterns_that_no_shell_expanded_are_expanded(folder, model):
    result = run("analyze", "talk/**/a.*", "--model", model)
    assert sources(result.stdout) == ["talk/a.wav", "talk/more/a.WAV"]


def test_a_recording_named_twice_is_analysed_once(folder, model):
    assert sources(run("analyze", "talk/a.wav", "talk", "./talk/a.wav", "--model", model).stdout) == [
        "talk/a.wav",
        "talk/quiet.wav",
        "talk/more/a.WAV",
    ]


def test_a_name_with_brackets_is_a_name(folder, model):
    write_wav(folder / "take[1].wav", syllables(1))
    assert sources(run("analyze", "take[1].wav", "--model", model).stdout) == ["take[1].wav"]


def test_a_bad_file_gives_one_line_and_does_not_stop_the_rest(folder, model):
    (folder / "bad.wav").write_text("no recording")
    result = run("analyze", "bad.wav", "talk/a.wav", "--model", model)
    bad, good = json.loads(result.stdout)
    lines = [line for line in result.stderr.splitlines() if "bad.wav" in line]
    assert result.exit_code == 1
    assert len(lines) == 1
    assert lines[0].startswith("bad.wav: unsupported_format: ")
    assert (bad["error"]["code"], bad["segments"]) == ("unsupported_format", [])
    assert good["segments"]


@pytest.mark.parametrize("missing", ["missing.wav", "nothing/*.wav", "empty"])
def test_what_names_no_recording_is_a_failure_of_its_own(folder, model, missing):
    (folder / "empty").mkdir()
    result = run("analyze", missing, "talk/a.wav", "--model", model)
    absent, good = json.loads(result.stdout)
    assert (absent["source"], absent["error"]["code"]) == (missing, "not_found")
    assert good["segments"]
    assert result.exit_code == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_reported(folder, model):
    (folder / "talk" / "more").chmod(0)
    result = run("analyze", "talk", "--model", model)
    (folder / "talk" / "more").chmod(0o700)
    assert "talk/more: no_permission: " in result.stderr
    assert result.exit_code == 1


def test_a_long_recording_tells_how_far_it_is(folder, model, monkeypatch):
    monkeypatch.setattr("ser_core.commands.analyze.HOUR_S", 15)
    write_wav(folder / "long.wav", syllables(25))  # some 35 s
    lines = run("analyze", "long.wav", "talk/a.wav", "--model", model).stderr.splitlines()
    assert [line for line in lines if "heard" in line] == ["long.wav: 1 h heard", "long.wav: 2 h heard"]


def test_csv_has_a_row_a_segment(folder, model):
    result = run("analyze", "talk", "--format", "csv", "--model", model)
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [row["label"] for row in rows if row["source"] == "talk/quiet.wav"] == ["no_speech"]
    assert len([row for row in rows if row["source"] == "talk/a.wav"]) == 2


def test_out_with_an_extension_gets_everything(folder, model):
    result = run("analyze", "talk", "--out", "new/all.json", "--model", model)
    assert result.stdout == ""
    assert len(sources((folder / "new" / "all.json").read_text())) == 3
    assert os.listdir(folder / "new") == ["all.json"]


def test_out_as_a_folder_gets_a_file_for_each_recording(folder, model):
    run("analyze", "talk", "--out", "results", "--model", model)
    written = sorted(path.relative_to(folder / "results") for path in (folder / "results").rglob("*.*"))
    assert list(map(str, written)) == ["a.wav.json", "more/a.WAV.json", "quiet.wav.json"]
    assert sources((folder / "results" / "a.wav.json").read_text()) == ["talk/a.wav"]


@pytest.mark.parametrize(
    ("format_", "ending"), [("textgrid", "TextGrid"), ("eaf", "eaf"), ("audacity", "txt"), ("vtt", "vtt")]
)
def test_a_format_of_one_recording_a_file_gets_a_folder_and_nothing_for_a_bad_file(
    folder, model, format_, ending
):
    (folder / "talk" / "bad.wav").write_text("no recording")
    result = run("analyze", "talk", "--format", format_, "--out", "results", "--model", model)
    written = sorted(str(path.relative_to(folder / "results")) for path in (folder / "results").rglob("*.*"))
    assert written == [f"a.wav.{ending}", f"more/a.WAV.{ending}", f"quiet.wav.{ending}"]
    assert "talk/bad.wav: unsupported_format: " in result.stderr
    assert result.exit_code == 1


@pytest.mark.parametrize("out", [[], ["--out", "all.TextGrid"]])
def test_a_format_of_one_recording_a_file_refuses_several_in_one_place(folder, model, out):
    result = run("analyze", "talk", "--format", "textgrid", "--model", model, *out)
    assert result.exit_code == 2
    assert "textgrid holds one recording a file, and there are 3: name a folder with --out" in result.stderr
    assert result.stdout == ""
    assert not (folder / "all.TextGrid").exists()


def test_one_recording_can_go_to_stdout_in_every_format(folder, model):
    for format_ in WRITERS:
        result = run("analyze", "talk/a.wav", "--format", format_, "--model", model)
        assert result.exit_code == 0
        assert result.stdout


def test_a_report_holds_all_recordings(folder, model):
    run("analyze", "talk", "--format", "html", "--out", "report.html", "--model", model)
    assert "Speech emotions in 3 recordings" in (folder / "report.html").read_text()


def test_names_that_could_lead_elsewhere_stay_in_the_folder_and_apart(folder, model):
    names = ["a\nb.wav", "a\tb.wav", "--out.wav", "..wav", "]]> --> <b>.wav", "🎙️ ä.wav", "a.wav", "a.flac"]
    (folder / "odd").mkdir()
    for name in names:
        write_wav(folder / "odd" / "x.wav", syllables(1)).rename(folder / "odd" / name)
    run(
        "analyze",
        "talk/a.wav",
        *(f"odd/{name}" for name in names),
        "--format",
        "eaf",
        "--out",
        "out",
        "--model",
        model,
    )
    written = {str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*.*")}
    assert written == {"talk/a.wav.eaf", *(f"odd/{name}.eaf" for name in names)}


def linked(eaf: Path) -> tuple[Path, Path]:
    """Where the absolute and the relative link of an EAF lead."""
    (media,) = Elan.Eaf(str(eaf)).media_descriptors
    assert media["MEDIA_URL"].startswith("file:///")
    absolute = os.fsdecode(unquote_to_bytes(media["MEDIA_URL"].removeprefix("file://")))
    relative = os.fsdecode(unquote_to_bytes(media["RELATIVE_MEDIA_URL"]))
    assert relative.startswith(("./", "../"))
    return Path(absolute), eaf.parent / relative


@pytest.mark.parametrize("out", ["out", "talk", "deep/er/out", "link/out", "../elsewhere"])
@pytest.mark.parametrize("source", ["talk", "link"])
def test_elan_finds_the_sound_from_wherever_its_file_is(folder, model, monkeypatch, source, out):
    (folder / "talk" / "more" / "a.WAV").rename(folder / "talk" / "more" / "ä #1?%20.wav")
    (folder / "here").mkdir()
    (folder / "over" / "there").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "talk" if source == "link" else folder / "over" / "there")
    monkeypatch.chdir(folder / "here")
    out = folder / "here" / ".." / out
    run("analyze", f"../{source}", "--format", "eaf", "--out", out, "--model", model)
    for name in ("a.wav", "quiet.wav", "more/ä #1?%20.wav"):
        for link in linked(out / f"{name}.eaf"):
            assert link.samefile(folder / "talk" / name)


def test_elan_finds_the_sound_from_a_file_that_is_named_or_piped(folder, model):
    (folder / "latin\udce9.wav").write_bytes((folder / "talk" / "a.wav").read_bytes())
    run("analyze", "latin\udce9.wav", "--format", "eaf", "--out", "tiers/one.eaf", "--model", model)
    result = run("analyze", "latin\udce9.wav", "--format", "eaf", "--model", model)
    (folder / "piped.eaf").write_text(result.stdout, encoding="utf-8")
    for eaf in (folder / "tiers" / "one.eaf", folder / "piped.eaf"):
        assert all(link.samefile(folder / "latin\udce9.wav") for link in linked(eaf))


def test_help_names_every_format():
    environment = {**os.environ, "COLUMNS": "200", "TERMINAL_WIDTH": "200"}
    command = [sys.executable, "-m", "ser_core", "analyze", "--help"]
    shown = subprocess.run(
        command, capture_output=True, env=environment, cwd=ROOT, check=True
    ).stdout.decode()
    assert "|".join(WRITERS) in shown


def test_out_never_overwrites_a_recording(folder, model):
    before = (folder / "talk" / "a.wav").read_bytes()
    result = run("analyze", "talk/a.wav", "--out", "talk/../talk/a.wav", "--model", model)
    assert result.exit_code == 2
    assert (folder / "talk" / "a.wav").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["analyze"], "PATH"),
        (["analyze", "talk/a.wav", "--model", "missing"], "missing"),
        (["analyze", "talk/a.wav", "--format", "xml"], "json, csv"),
        (["analyze", "talk/a.wav", "--device", "tpu"], "auto, cpu, cuda"),
        (["analyze", "talk/a.wav", "--out", "talk/a.wav/out.json"], "talk/a.wav"),
        (["analyze", "talk/a.wav", "--colour"], "--colour"),
        (["analyze", "talk/a.wav", "--out", "o", "--resume", "--one-voice"], "--one-voice"),
        (["analyze", "talk/a.wav", "--out", "o", "--resume", "--alike"], "--alike"),
        (["analyze", "talk/a.wav", "--one-voice", "--alike"], "--one-voice"),
        (["models", "--format", "xml"], "text, json"),
        (["dance"], "dance"),
    ],
)
def test_wrong_usage_exits_with_2_and_names_what_is_wrong(folder, arguments, named):
    result = run(*arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert result.stdout == ""


def test_an_absent_gpu_is_wrong_usage(folder, model):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    result = run("analyze", "talk/a.wav", "--device", "cuda", "--model", model)
    assert result.exit_code == 2
    assert "cpu" in result.stderr


def test_models_names_the_default_with_its_measured_accuracy():
    [default, *_] = json.loads(run("models", "--format", "json").stdout)
    assert default["name"] == "default"
    assert default["parameters"] > 0
    assert default["size_bytes"] > 0
    assert "angry" in default["labels"]
    low, high = default["accuracy"]["ci95"]
    assert 0 < low < default["accuracy"]["mean"] < high < 100


def test_models_as_text_says_what_was_measured():
    text = run("models").stdout
    assert "accuracy" in text
    assert "95 % interval" in text


def test_models_counts_every_architecture_as_published():
    networks = {
        row["name"]: row for row in json.loads(run("models", "--architectures", "--format", "json").stdout)
    }
    published = {
        "stacked_cnn_lstm": (147_816, "log_mel"),
        "stacked_cnn_attention_lstm": (582_761, "log_mel"),
        "parallel_cnn_transformer": (395_176, "log_mel"),
        "parallel_cnn_blstm_attention": (263_593, "log_mel"),
        "parallel_2cnn_transformer": (248_488, "mfcc"),
    }
    assert list(networks) == list(ARCHITECTURES)
    assert {
        name: (networks[name]["parameters"], networks[name]["features"]) for name in published
    } == published
    assert networks["coattention_mfcc_mel"]["features"] == "mfcc_log_mel"
    assert networks["vgg16_transfer"]["pretrained_parameters"] == 14_714_688
    assert networks["whisper_tiny"]["pretrained_parameters"] == 8_208_384
    assert networks["whisper_base"]["pretrained_parameters"] == 20_590_592
    assert networks["cnn_lstm"]["pretrained_parameters"] is None


def test_architectures_as_text_are_a_line_each():
    heading, *lines = run("models", "--architectures").stdout.splitlines()
    assert "parameters" in heading
    assert [line.split()[0] for line in lines] == list(ARCHITECTURES)
    assert "147,816" in lines[list(ARCHITECTURES).index("stacked_cnn_lstm")]


def test_output_is_utf8_in_any_locale(folder, model):
    write_wav(folder / "Gespräch.wav", syllables(1))
    command = [sys.executable, "-m", "ser_core", "analyze", "Gespräch.wav", "--model", model]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert sources(done.stdout.decode("utf-8")) == ["Gespräch.wav"]


def test_importing_the_library_is_quick_and_leaves_torch_for_later():
    code = "import sys, ser_core; assert 'torch' not in sys.modules; ser_core.Recognizer; ser_core.Analysis"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_public_name_is_there():
    import ser_core

    assert all(getattr(ser_core, name) is not None for name in ser_core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'recogniser'"):
        ser_core.recogniser  # noqa: B018


def test_the_default_model_hears_anger_from_the_command_line(ravdess_angry):
    result = run("analyze", ravdess_angry, "--format", "json")
    [entry] = json.loads(result.stdout)
    assert result.exit_code == 0
    assert entry["summary"]["label"] == "angry"
    assert entry["segments"][0]["label"] == "angry"
