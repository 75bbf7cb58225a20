"""The tab "Files": several recordings at once, in a real Chromium."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from shared_faults import CALLS, FAULTS, FILES, SPEAKERS, check, needs_faults, speakers_of
from support import SAMPLE_RATE, syllables, write_wav

DONE_MS = 60_000
MANY = 40  # more than can be analysed before Cancel is pressed


@pytest.fixture
def files(page) -> Page:
    """The page with the tab open."""
    page.get_by_role("tab", name="Files").click()
    expect(page.locator("#drop-files button")).to_be_visible()
    return page


@pytest.fixture
def folder(tmp_path) -> list:
    """Three recordings of different length, one of them silent, and a text file named .wav."""
    (tmp_path / "4 <b>text.wav").write_text("no recording " * 50)
    return [
        write_wav(tmp_path / "2 long.wav", syllables(4)),
        write_wav(tmp_path / "1 short.wav", syllables(1)),
        write_wav(tmp_path / "3 quiet.wav", np.zeros(3 * SAMPLE_RATE, np.float32)),
        tmp_path / "4 <b>text.wav",
    ]


def drop(page: Page, paths) -> None:
    page.locator("#drop-files input[type=file]").set_input_files(paths)


def rows(page: Page):
    return page.locator("#files tbody tr")


def names(page: Page) -> list[str]:
    return page.locator("#files tbody .name").all_inner_texts()


def progress(page: Page):
    return page.locator("#files [data-part=progress]")


def sort_by(page: Page, column: str) -> None:
    page.locator("#files th").get_by_role("button", name=column).click()


def test_every_file_gets_a_row_and_a_bad_one_says_why(files, folder):
    drop(files, folder)
    expect(progress(files)).to_have_text(re.compile("4 of 4 files done, 1 cannot"), timeout=DONE_MS)
    assert [name[0] for name in names(files)] == [path.name[0] for path in folder]  # as they were dropped
    expect(rows(files).filter(has_text="text.wav")).to_contain_text(re.compile(r"[A-Z].{20,}\."))
    expect(rows(files).filter(has_text="quiet")).to_contain_text("no speech")
    assert files.locator("#files .name *").count() == 0  # no name is markup
    expect(files.locator("#files [data-part=sum]")).to_contain_text("of speech")
    shares = files.locator("#files .legend").inner_text()
    assert sum(map(int, re.findall(r"(\d+)%", shares))) == pytest.approx(100, abs=2)


def test_the_table_sorts_by_any_column(files, folder):
    drop(files, folder)
    expect(progress(files)).to_have_text(re.compile("4 of 4"), timeout=DONE_MS)
    sort_by(files, "File")
    assert [name[0] for name in names(files)] == ["1", "2", "3", "4"]
    sort_by(files, "File")
    assert [name[0] for name in names(files)] == ["4", "3", "2", "1"]
    expect(files.locator("#files th[aria-sort=descending]")).to_have_text("File")
    sort_by(files, "Length")
    assert [name[0] for name in names(files)] == ["4", "1", "3", "2"]  # the bad one has none


def test_files_recorded_alike_are_judged_with_each_other(files, trained, shared_data):
    if not trained:
        pytest.skip("random weights do not adapt")

    def probabilities_of(paths) -> list[dict[str, float]]:
        drop(files, paths)
        expect(progress(files)).to_have_text(f"{len(paths)} of {len(paths)} files done", timeout=DONE_MS)
        with files.expect_download() as download:
            files.get_by_role("button", name="Save all results").click()
        return [entry["summary"]["probabilities"] for entry in json.loads(download.value.path().read_text())]

    # Emotions that vary: the shipped model's gate judges recordings of one emotion by themselves.
    voice = shared_data / "ravdess" / "Actor_05"
    paths = [voice / f"03-01-{emotion}-02-01-01-05.flac" for emotion in ("05", "04", "06")]
    separately = probabilities_of(paths)
    files.get_by_label("All files were recorded alike").focus()
    files.keyboard.press("Space")
    together = probabilities_of([*paths, paths[0]])  # one more file, to tell them from the old results
    assert all(one != other for one, other in zip(together, separately, strict=False))
    assert together[0] == together[-1]  # the same recording, wherever it stands


def test_results_come_one_by_one_and_cancelling_leaves_the_rest(files, tmp_path):
    paths = [write_wav(tmp_path / f"{number}.wav", syllables(3, seed=number)) for number in range(MANY)]
    drop(files, paths)
    expect(rows(files)).to_have_count(MANY, timeout=DONE_MS)
    expect(progress(files)).not_to_have_text(re.compile("^0 of"), timeout=DONE_MS)
    with files.expect_response(re.compile("/reset$")):  # the server has received it
        files.get_by_role("button", name="Cancel").click()
    expect(progress(files)).to_contain_text("the rest cancelled")
    expect(rows(files).last).to_contain_text("cancelled")
    drop(files, paths[:1])  # and the next one works
    expect(progress(files)).to_have_text("1 of 1 files done", timeout=DONE_MS)


def test_all_results_are_saved_and_one_is_looked_at(files, folder):
    drop(files, folder)
    expect(progress(files)).to_have_text(re.compile("4 of 4"), timeout=DONE_MS)
    with files.expect_download() as download:
        files.get_by_role("button", name="Save all results").click()
    saved = json.loads(download.value.path().read_text())
    assert [entry["source"] for entry in saved] == names(files)
    files.get_by_role("button", name="Open 2 long.wav in Recording").click()
    expect(files.locator("#answer")).to_contain_text("2 long.wav", timeout=DONE_MS)


@needs_faults
def test_what_is_missing_of_a_recording_is_said_in_words(files):
    drop(files, [FAULTS / name for name in (*FILES, *CALLS)])
    done = f"{len(FILES) + len(CALLS)} of {len(FILES) + len(CALLS)} files done"
    expect(progress(files)).to_have_text(done, timeout=2 * DONE_MS)
    with files.expect_download() as download:
        files.get_by_role("button", name="Save all results").click()
    entries = {entry["source"]: entry for entry in json.loads(download.value.path().read_text())}
    for name, expected in FILES.items():
        entry, row = entries[Path(name).name], rows(files).filter(has_text=Path(name).name)
        check(entry, expected)
        for warning in entry["quality"]["warnings"]:
            if expected.warning and warning.startswith(expected.warning):
                expect(row).to_contain_text(warning.partition(". ")[0])
    for name in CALLS:
        assert speakers_of(entries[name]) == SPEAKERS
    words = "Cut off: the file has 2.6 s of the 3.6 s that it declares."
    expect(rows(files).filter(has_text="mp3_cut_tail.mp3")).to_contain_text(words)
    track = "Several tracks: of 2 sound tracks the second was analysed."
    expect(rows(files).filter(has_text="multi_default2.mkv")).to_contain_text(track)
    files.get_by_role("button", name="Open mp3_cut_tail.mp3 in Recording").click()
    expect(files.locator("#answer")).to_contain_text("mp3_cut_tail.mp3", timeout=DONE_MS)
    expect(files.locator("#answer .quality")).to_contain_text(words)
