"""The documentation is true: links lead somewhere, examples run, and commands, options and files exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from interfaces import STUDIO, problem
from live_server import live_server
from support import ROOT, syllables, write_wav
from test_architecture import ROOMS

from ser_core import errors
from ser_core.checkpoint.bundle import CHECKPOINTS, DEFAULT
from ser_core.recognition.live_engine import LiveEngine
from ser_core.recognition.recognizer import Recognizer

GUIDES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PAGES = [*GUIDES, ROOT / "train" / "README.md"]
PAGES += sorted([*ROOT.glob("benchmarks/*/*.md"), *ROOT.glob("checkpoints/*/README.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
# Why tests/test_docs.py does not run an example as it stands, in the line before it.
ELSEWHERE = re.compile(r"<!-- not run by tests/test_docs\.py: .*; (tests/\S+\.py) runs it -->\n```python\n")
LIVE = "ws://127.0.0.1:7860/live"
# What begins a path in the repository.
TOP = ("ser_core/", "ser_ui/", "train/", "tests/", "benchmarks/", "docs/", "assets/", "checkpoints/")
PLACEHOLDER = re.compile(r"(^|[/.])[A-Z]{2,}\b(?!\.md)|[…*{]")  # NAME stands for any name
MADE = {"checkpoints/mine"}  # by the commands of the page that names it
BASH_ROOTS = ("ser-studio", "python -m ser_core", "python -m train", "python -m benchmarks.")
needs_default = pytest.mark.skipif(
    not (CHECKPOINTS / DEFAULT / "bundle.json").is_file(), reason="needs the default model"
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return BLOCK.sub("", text_of(page))


def blocks(page: Path, *languages: str) -> list[str]:
    return [body for _, language, body in BLOCK.findall(text_of(page)) if language in languages]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = base = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        number = 0
        while anchor in found:
            number += 1
            anchor = f"{base}-{number}"
        found.add(anchor)
    return found


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in LINK.findall(prose(page)):
        place, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and (target.suffix != ".md" or anchor not in anchors(target))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page):
    assert not broken_links(page)


def test_a_link_that_leads_nowhere_is_seen(tmp_path):
    (tmp_path / "a.md").write_text("# A b\n[x](a.md#a-b) [y](a.md#c) [z](no.md) [w](https://x.y)")
    assert broken_links(tmp_path / "a.md") == ["a.md#c", "no.md"]


def test_the_readme_names_every_page_of_the_documentation():
    linked = {link.partition("#")[0] for link in LINK.findall(text_of(ROOT / "README.md"))}
    assert {name_of(page) for page in ROOT.glob("docs/*.md")} <= linked
    assert {"CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"} <= linked


def examples(page: Path) -> list[str]:
    """The Python of a page that runs here."""
    kept = ELSEWHERE.sub("```text\n", text_of(page))
    return [body for _, language, body in BLOCK.findall(kept) if language == "python"]


EXAMPLES = [
    pytest.param(body, id=f"{name_of(page)}-{number}")
    for page in GUIDES
    for number, body in enumerate(examples(page), start=1)
]


@pytest.fixture
def recordings(tmp_path, monkeypatch) -> Path:
    """A working folder with the recordings that examples name."""
    monkeypatch.chdir(tmp_path)
    speech = syllables(3)
    for name in ("interview.wav", "interview.m4a"):  # the content decides the type
        write_wav(tmp_path / "a.wav", speech).rename(tmp_path / name)
    (tmp_path / "calls").mkdir()
    for number in range(2):
        write_wav(tmp_path / "calls" / f"{number}.wav", syllables(2, seed=number))
    return tmp_path


@needs_default
@pytest.mark.parametrize("example", [each for each in EXAMPLES if LIVE not in each.values[0]])
def test_every_example_runs(example, recordings, capsys):
    before = set(recordings.rglob("*"))
    exec(compile(example, "example", "exec"), {})
    written = set(recordings.rglob("*")) - before
    assert capsys.readouterr().out or written or "assert " in example, "an example shows what it does"


@needs_default
def test_the_live_example_gets_every_segment(recordings, capsys):
    (example,) = [each.values[0] for each in EXAMPLES if LIVE in each.values[0]]
    recognizer = Recognizer.load(device="cpu")
    engine = LiveEngine(recognizer)
    with live_server(engine) as address:
        exec(compile(example.replace(LIVE, address), "example", "exec"), {})
    engine.close()
    *segments, summary = capsys.readouterr().out.splitlines()
    expected = recognizer.analyze_file("interview.wav")
    assert [line.split()[-1] for line in segments] == [segment.label for segment in expected.segments]
    assert summary == expected.summary.label


def test_examples_that_run_elsewhere_do():
    places = [place for page in GUIDES for place in ELSEWHERE.findall(text_of(page))]
    assert len(places) == 1
    for place in places:
        assert re.search(r'"docs" / "programs\.md".*?exec\(', text_of(ROOT / place), re.DOTALL)
    assert len(EXAMPLES) > 10


def spoken_commands(page: Path) -> Iterator[list[str]]:
    """The words of every command of ours in a page: of its shell blocks, and of code in its text."""
    lines = []
    for body in blocks(page, "sh", "bash"):
        lines += body.replace("\\\n", " ").splitlines()
    text = re.sub(r"\s*\n\s*", " ", prose(page))
    lines += [code for code in CODE.findall(text) if code.startswith((*BASH_ROOTS, "python benchmarks/"))]
    for line in lines:
        line = re.sub(r"\S*bin/python", "python", line)
        line = re.sub(r"python benchmarks/(\w+)\.py", r"python -m benchmarks.\1", line)
        start = min((at for root in BASH_ROOTS if (at := line.find(root)) >= 0), default=None)
        if start is None and "-m train" in line:  # torchrun
            start = line.index("-m train")
            line = line[:start] + "python " + line[start:]
        if start is not None:
            yield shlex.split(line[start:].partition(";")[0], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists_and_has_the_options_it_is_given(page):
    problems = {" ".join(words): problem(words) for words in spoken_commands(page)}
    assert not {command: why for command, why in problems.items() if why}


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("ser-studio analyze a.wav --format csv --alike", False),
        ("ser-studio page --port 7861", False),
        ("python -m train fit --recipe a.toml --devices 4", False),
        ("python -m train report runs/a --keep b", False),
        ("python -m benchmarks.architectures --no-measure", False),
        ("python -m benchmarks.speed --write", False),
        ("ser-studio analyze a.wav --format doc", True),
        ("ser-studio listen --alike", True),
        ("python -m ser_core divine", True),
        ("python -m train fit --split", False),
        ("python -m train fit --folds 3", True),
        ("python -m benchmarks.vad --data a", False),
        ("python -m benchmarks.vad --cats a", True),
        ("python -m benchmarks.nothing", True),
        ("python -m benchmarks.load --cats 3", True),
    ],
)
def test_a_command_that_cannot_be_given_is_seen(command, wrong):
    assert bool(problem(command.split())) == wrong


def test_the_documentation_shows_every_command():
    shown = {" ".join(words[:2]) for page in GUIDES for words in spoken_commands(page)}
    assert {f"ser-studio {name}" for name in STUDIO} <= shown


def named_files(page: Path) -> Iterator[str]:
    """What in a page's text looks like a path in the repository."""
    for code in CODE.findall(prose(page)):
        if code.startswith(TOP) and " " not in code and not PLACEHOLDER.search(code):
            yield code


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_exists(page):
    assert not [path for path in named_files(page) if path not in MADE and not (ROOT / path).exists()]


def test_a_file_that_is_not_there_is_seen(tmp_path):
    (tmp_path / "a.md").write_text(
        "`ser_core/decoder.py` `train/recipes/NAME.toml` `tests/` `benchmarks/*.py`"
    )
    assert list(named_files(tmp_path / "a.md")) == ["ser_core/decoder.py", "tests/"]


def test_whoever_wants_to_change_something_is_sent_to_the_file_that_has_it():
    page = text_of(ROOT / "docs" / "architecture.md")
    table = page.partition("## Where to change what")[2].partition("## Decisions")[0]
    rows = re.findall(r"^\| [^`|]+ \| `([^`]+)` \| (.+) \|$", table, re.MULTILINE)
    assert len(rows) > 10
    for path, names in rows:
        content = text_of(ROOT / path)
        assert all(name in content for name in CODE.findall(names)), path


def test_the_import_rules_are_those_that_are_tested():
    page = text_of(ROOT / "docs" / "architecture.md")
    told = {
        name: order.split(", ") for name, order in re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    }
    assert told == {package: order.split()[::-1] for package, order in ROOMS.items()}


def test_programs_are_told_every_code_and_every_field():
    page = prose(ROOT / "docs" / "programs.md")
    explained = {
        code for cell in re.findall(r"^\|(.*?)\|", page, re.MULTILINE) for code in CODE.findall(cell)
    }
    listed = re.findall(r"^    (\w+(?:, \w+)*) {2,}\w", errors.__doc__, re.MULTILINE)
    assert {code for codes in listed for code in codes.split(", ")} <= explained
    socket = text_of(ROOT / "ser_ui" / "server" / "live_socket.py")
    engine = text_of(ROOT / "ser_core" / "recognition" / "live_engine.py")
    codes = re.findall(r'(?:SocketError|LiveError|_\w+error)\(\s*"(\w+)"', socket + engine)
    assert len(set(codes)) > 10
    assert set(codes) <= explained
    messages = page.partition("### Messages of the server")[2].partition("###")[0]
    fields = set(re.findall(r'"(\w+)": ', socket.partition("class _Connection")[2]))
    fields |= set(re.findall(r"\b(lost_frames|skipped)=", socket))
    assert len(fields) > 15
    assert fields <= set(CODE.findall(messages))
