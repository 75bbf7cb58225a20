"""Import rules of docs/architecture.md, sizes of files, and that nothing can unpickle."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support import ROOT

# Packages that must not be imported. Allowed are app -> ser_ui -> ser_core and train -> ser_core.
FORBIDDEN = {
    "ser_core": {"gradio", "train", "ser_ui", "app"},
    "ser_ui": {"train", "app"},
    "train": {"gradio", "ser_ui", "app"},
}
# The rooms and modules of each package, from the lowest. Each may import only those before it.
ROOMS = {
    "ser_core": "errors emotions audio analysis models checkpoint recognition pictures export commands",
    "ser_ui": "theme words layout examples corrections comparison voices text timeline model_cache server "
    "tabs page launch",
    "train": "processes errors corpora augment recipe data reports fitting protocols export cli",
}
MAX_LINES = 350  # of a file
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Reads published state dicts, pinned by hash, as tensors only; from pickle it imports an exception.
DOWNLOADS = ROOT / "ser_core" / "models" / "pretrained.py"
WALL_CLOCKS = ("time.time(", "time.time_ns(", "datetime.now(", "datetime.datetime.now(", "date.today(")
UNPICKLING_CALLS = {"torch.load", "torch.hub.load", "read_pickle", "torch.export.load"}


def sources(*rooms: str) -> list[Path]:
    paths = [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]
    assert paths, f"nothing to check in {rooms}"
    return paths


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported in `tree`, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(ast.literal_eval(a)) for a in node.args if isinstance(a, ast.Constant))


def unpickling(tree: ast.AST) -> Iterator[str]:
    """Everything in `tree` that could run code from a file."""
    yield from (name for name in imported(tree) if name.split(".")[0] in UNPICKLERS)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(tuple(UNPICKLING_CALLS)):
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and node.module in ("torch", "torch.hub"):
            yield from (alias.name for alias in node.names if alias.name == "load")
        elif isinstance(node, ast.keyword) and ast.unparse(node) == "allow_pickle=True":
            yield ast.unparse(node)


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_lies_below_it(room):
    for path in sources(room):
        names = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
        assert not names & FORBIDDEN[room], f"{path.relative_to(ROOT)} imports {names & FORBIDDEN[room]}"


def modules(package: str) -> dict[str, Path]:
    """The modules of `package`, by their dotted names."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sources(package)}
    return {name.removesuffix(".__init__"): path for name, path in paths.items()}


def imports_within(package: str) -> dict[str, set[str]]:
    """Of each module of `package`, the modules of the same package that it imports, also inside functions."""
    known = modules(package)
    graph = {}
    for name, path in known.items():
        tree = ast.parse(path.read_text())
        imported_names = set(imported(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not node.level:
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                imported_names |= parts
                if parts <= set(known):
                    imported_names.discard(str(node.module))
        graph[name] = imported_names & set(known) - {name, package}
    return graph


@pytest.mark.parametrize("package", ROOMS)
def test_a_room_imports_only_rooms_below_it(package):
    order = {room: number for number, room in enumerate(ROOMS[package].split())}
    for name, others in imports_within(package).items():
        if name in (package, f"{package}.__main__"):
            continue
        rank = order[name.split(".")[1]]
        upward = {other for other in others if order[other.split(".")[1]] > rank}
        assert not upward, f"{name} imports {upward}"


@pytest.mark.parametrize("package", ROOMS)
def test_no_modules_import_each_other_in_a_circle(package):
    graph = imports_within(package)
    graph.pop(package)  # re-exports the public names
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
    assert set(graph) <= set(order)


def test_the_check_for_circles_sees_imports():
    graph = imports_within("ser_core")
    assert "ser_core.audio.vad" in graph["ser_core.audio.speech"]
    assert "ser_core.commands.analyze" in graph["ser_core.commands.cli"]


def test_no_file_is_long():
    paths = [*sources("ser_core", "ser_ui", "train", "tests", "benchmarks"), ROOT / "app.py"]
    paths += [*(ROOT / "web").glob("*.py")]
    for folder in ("assets", "web/src"):
        paths += [path for path in (ROOT / folder).rglob("*") if path.suffix in (".js", ".css", ".html")]
    long = {
        str(path.relative_to(ROOT)): n
        for path in paths
        if (n := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert not long


def test_the_page_reads_what_strangers_send_in_no_process_of_its_own():
    for path in sources("ser_ui"):
        tree = ast.parse(path.read_text())
        used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.alias)}
        assert not used & {"decode.decode", "decode.stream", "decode", "stream"}, path.relative_to(ROOT)


def test_nothing_unpickles():
    paths = {*sources("ser_core", "ser_ui", "benchmarks"), *ROOT.glob("*.py")} - {DOWNLOADS}
    for path in sorted(paths):
        violations = list(unpickling(ast.parse(path.read_text())))
        assert not violations, f"{path.relative_to(ROOT)} uses {violations}"


def test_training_reads_back_only_the_tensors_of_its_own_runs():
    for path in sources("train"):
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
        unsafe = [c for c in loads if "weights_only=True" not in map(ast.unparse, c.keywords)]
        violations = [*map(ast.unparse, unsafe), *set(unpickling(tree)) - {"torch.load"}]
        assert not violations, f"{path.relative_to(ROOT)} uses {violations}"


def test_downloads_are_read_as_tensors_alone():
    tree = ast.parse(DOWNLOADS.read_text())
    loads = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "torch.load"]
    assert all("weights_only=True" in map(ast.unparse, load.keywords) for load in loads)
    assert sorted(unpickling(tree)) == ["pickle", "torch.load"]
    assert "from pickle import UnpicklingError\n" in ast.unparse(tree)


def test_whatever_waits_counts_on_a_clock_that_nobody_sets():
    """Timeouts, queues and deletions must not depend on changes of the computer's clock."""
    for path in (*sources("ser_ui", "ser_core"), ROOT / "app.py"):
        calls = [
            ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        violations = [call for call in calls if call.startswith(WALL_CLOCKS)]
        assert not violations, f"{path.relative_to(ROOT)} uses {violations}"


@pytest.mark.parametrize(
    ("code", "module"),
    [
        ("import gradio as gr", "gradio"),
        ("from train.corpora import read", "train.corpora"),
        ("def late():\n    import ser_ui.page", "ser_ui.page"),
        ("import_module('train')", "train"),
    ],
)
def test_the_check_sees_every_way_to_import(code, module):
    assert module in imported(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=True)",
        "from torch import load",
        "np.load(path, allow_pickle=True)",
        "pandas.read_pickle(path)",
    ],
)
def test_the_check_sees_every_way_to_unpickle(code):
    assert list(unpickling(ast.parse(code)))


@pytest.mark.parametrize("code", ["np.load(path)", "json.load(file)", "safetensors.torch.load_file(path)"])
def test_the_check_lets_plain_reading_pass(code):
    assert not list(unpickling(ast.parse(code)))
