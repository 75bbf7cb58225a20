"""Builds the static page: `make web` fetches the npm packages and runs this. `web/dist/` is published.

    python -m web.build [--models small default] [--out web/dist]

The page's scripts are those of the Gradio page (`assets/`), wrapped as modules, and those of `web/src/`.
"""

import argparse
import gzip
import hashlib
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from ser_core import __version__
from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import ONNX
from ser_ui.layout import template
from ser_ui.text import header
from ser_ui.theme import ASSETS, theme
from ser_ui.timeline import SCRIPTS
from ser_ui.words import PHRASES
from train.export import onnx as onnx_export
from train.export import onnx_halves
from web.resampling import RATES, filters, packed
from web.settings import phrases, settings

WEB = Path(__file__).parent
SOURCES, PACKAGES, DIST = WEB / "src", WEB / "node_modules", WEB / "dist"
EXPORTED = WEB / "exported"  # ONNX files by the hash of their weights, so that only new weights are exported
RUNTIME = "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"
VENDOR = (
    *("onnxruntime-web/dist/ort.wasm.min.mjs", "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs"),
    *("mediabunny/dist/bundles/mediabunny.min.mjs", "@echogarden/fvad-wasm/fvad.js"),
    *("@echogarden/fvad-wasm/fvad.wasm", "opus-decoder/dist/opus-decoder.min.js"),
)
STYLES = ("style", "timeline", "live")
SHARED = ("shared/words", "shared/canvas", "shared/files", "shared/voices")
LIVE = ("live/capture", "live/spectrum", "live/drawing", "live/panels", "live/session")
NAME = re.compile(r"^(?:async )?(?:function|class|const) (\w+)", re.MULTILINE)
VARIABLE = re.compile(r"var\((--[\w-]+)")
HASH_DIGITS = 12
NOTICES = "ONNX-RUNTIME-NOTICES.txt"  # of what is compiled into ONNX Runtime
NOT_KEPT = ("service_worker.js", "README.md", NOTICES, "models/", "runtime.")  # by the service worker


def build(models: list[str], out: Path = DIST) -> None:
    """Writes the page with the checkpoints `models`, the first of which is opened by default, to `out`."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(SOURCES, out)
    _vendor(out)
    facts = settings() | {
        "runtime": _stored(out, "runtime.bin", gzip.compress((PACKAGES / RUNTIME).read_bytes(), 9, mtime=0)),
        "models": {name: _model(out, name) for name in models},
    }
    (out / "settings.js").write_text(f"export const settings = {_js(facts)};\n", encoding="utf-8")
    measured = {str(rate): packed(filters(rate)) for rate in RATES}
    (out / "filters.js").write_text(f"export const measured = {_js(measured)};\n", encoding="utf-8")
    _scripts(out / "assets")
    _page(out)
    (out / "LICENCES.txt").write_text(licences(models), encoding="utf-8")
    shutil.copy(Path(onnxruntime.__file__).with_name("ThirdPartyNotices.txt"), out / NOTICES)
    (out / "README.md").write_text(card(), encoding="utf-8")
    _service_worker(out)


def _stored(out: Path, name: str, content: bytes) -> dict[str, Any]:
    """Writes a large file under a name with its hash; its path, bytes and SHA-256 as the page reads them."""
    sha256 = hashlib.sha256(content).hexdigest()
    stem, _, extension = name.rpartition(".")
    path = out / f"{stem}.{sha256[:HASH_DIGITS]}.{extension}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return {"path": path.relative_to(out).as_posix(), "bytes": len(content), "sha256": sha256}


def _vendor(out: Path) -> None:
    (out / "vendor").mkdir()
    for name in VENDOR:
        text = PACKAGES / name
        target = out / "vendor" / text.name
        content = text.read_bytes()  # as they are: a decoder's WASM is a string, in which each letter counts
        if text.suffix != ".wasm":  # source maps stay away
            content = re.sub(rb"\n//# sourceMappingURL=\S+", b"", content)
        target.write_bytes(content)


def _model(out: Path, name: str) -> dict[str, Any]:
    """The model's file in `out`, and what the page must know of it."""
    described = bundle.read(name)
    stored = _stored(out, f"models/{name}.onnx", exported(described).read_bytes())
    graph = onnx.load_model(out / stored["path"], load_external_data=False).graph
    sizes = {node.name: [dim.dim_value for dim in node.type.tensor_type.shape.dim] for node in graph.input}
    if "session" not in sizes:
        raise SystemExit(f"{name} does not adapt to sessions: the page runs models that do")
    return stored | {
        "stateSize": sizes["session"][1],
        "labels": list(described.labels),
        "threshold": described.threshold,
        "version": described.version,
        "parameters": described.parameters,
        "licence": described.licence,
        "weights": described.sha256,
    }


def exported(described: bundle.Bundle) -> Path:
    """The ONNX file of a checkpoint, with weights in float16 where that changes nothing."""
    assert described.path is not None
    key = hashlib.sha256(Path(onnx_export.__file__).read_bytes() + _described(described.path)).hexdigest()
    path = EXPORTED / f"{described.path.name}.{key[:HASH_DIGITS]}.onnx"
    if not path.is_file():
        EXPORTED.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copytree(described.path, Path(folder) / described.path.name))
            onnx_export.write(copy)
            onnx_halves.write(copy / ONNX, Path(folder) / "halves.onnx")
            shutil.move(Path(folder) / "halves.onnx", path)
    return path


def _described(folder: Path) -> bytes:
    """What an export depends on: description (which holds the weights' hash) and the model's code."""
    code = sorted((Path(bundle.__file__).parents[1] / "models").glob("*.py"))
    return b"".join(path.read_bytes() for path in (folder / bundle.DESCRIPTION, *code))


def _scripts(folder: Path) -> None:
    """The Gradio page's scripts as modules; names that a module shares are its top-level ones."""
    folder.mkdir()
    shared = _source(*SHARED)
    names = NAME.findall(shared)
    importing = f"import {{ {', '.join(names)} }} from './shared.js';\n"
    modules = {
        "phrases": _phrases(),
        "shared": f"import './phrases.js';\n{shared}\nexport {{ {', '.join(names)} }};\n",
        "timeline": importing
        + "export function start({ element, props, watch, trigger }) {\n"
        + f"{_source(*SCRIPTS[len(SHARED) :])}\n}}\n",
        "live": importing
        + f"export function start({{ element, props, Connection }}) {{\n{_source(*LIVE)}\n"
        + "return { begin, onFrame, session: () => session };\n}\n",
        "capture": "export const FRAME_S = " + _constant("live/capture", "FRAME_S") + ";\n",
        "spectrogram": _exported("live/spectrum", "live/drawing"),
    }
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")


def _source(*names: str) -> str:
    return "\n".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in names)


def _exported(*names: str) -> str:
    source = _source(*names)
    return f"{source}\nexport {{ {', '.join(NAME.findall(source))} }};\n"


def _constant(script: str, name: str) -> str:
    found = re.search(rf"^const {name} = ([^;]+);", _source(script), re.MULTILINE)
    assert found is not None
    return found[1]


def _phrases() -> str:
    """Sets the phrases where the scripts look for them, and the page's language to the browser's."""
    words = phrases()
    for language, all_words in words.items():
        for base in ("en", language):
            own = json.loads((WEB / "words" / f"{base}.json").read_text(encoding="utf-8"))
            all_words |= {key: text for key, text in own.items() if base == language or key not in all_words}
    return (
        f"window.gradio_config = {{ i18n_translations: {_js(words)} }};\n"
        "document.documentElement.lang = navigator.language;\n"
    )


def _page(out: Path) -> None:
    markup = (out / "index.html").read_text(encoding="utf-8")
    logo = re.search(r"<svg.*?</svg>", header(PHRASES["en"]), re.DOTALL)
    assert logo is not None
    parts = {"logo": logo[0], "timeline": template("timeline/timeline"), "live": template("live/live")}
    for name, text in parts.items():
        markup = markup.replace(f"<!-- {name} -->", text)
    (out / "index.html").write_text(markup, encoding="utf-8")
    icon = logo[0].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    (out / "icon.svg").write_text(icon, encoding="utf-8")
    sheets = "\n".join((ASSETS / f"{name}.css").read_text(encoding="utf-8") for name in STYLES)
    sheets += (out / "page.css").read_text(encoding="utf-8")
    (out / "page.css").unlink()
    (out / "style.css").write_text(variables(sheets) + sheets, encoding="utf-8")


def variables(sheets: str) -> str:
    """The variables of the Gradio theme that `sheets` use, light and dark."""
    rules = re.findall(r"(:root[^{]*)\{([^}]*)\}", theme()._get_theme_css())
    values = {
        ".dark" if "dark" in scope else ":root": dict(re.findall(r"(--[\w-]+):\s*([^;]+);", body))
        for scope, body in rules
    }
    used, found = set(VARIABLE.findall(sheets)), set()
    while used - found:
        found |= used
        used = {
            inner
            for name in found
            for table in values.values()
            for inner in VARIABLE.findall(table.get(name, ""))
        }
    text = ""
    for scope, table in values.items():
        lines = "".join(f"  {name}: {table[name]};\n" for name in sorted(found) if name in table)
        text += f"{scope} {{\n{lines}}}\n"
    return text


def _service_worker(out: Path) -> None:
    files = [path.relative_to(out).as_posix() for path in sorted(out.rglob("*")) if path.is_file()]
    files = [name for name in files if not name.startswith(NOT_KEPT)]
    content = b"".join((out / name).read_bytes() for name in files)
    version = hashlib.sha256(content).hexdigest()[:HASH_DIGITS]
    path = out / "service_worker.js"
    head = f"const VERSION = {version!r};\nconst FILES = {_js(['./', *files])};\n"
    path.write_text(head + path.read_text(encoding="utf-8"), encoding="utf-8")


def licences(models: list[str]) -> str:
    """The licence of everything in the page, with the texts that must go along."""
    parts = [
        f"SER Studio {__version__}, its code: MIT\n\n{(WEB.parent / 'LICENSE').read_text(encoding='utf-8')}"
    ]
    for name in models:
        described = bundle.read(name)
        parts.append(f"Model {name}, version {described.version}: {described.licence}\n")
    for name in ("onnxruntime-web", "mediabunny", "@echogarden/fvad-wasm", "opus-decoder"):
        facts = json.loads((PACKAGES / name / "package.json").read_text(encoding="utf-8"))
        folder = PACKAGES / name
        if name == "onnxruntime-web":  # its npm package has no text; that for Python is of the same source
            folder = Path(onnxruntime.__file__).parent
        if name == "opus-decoder":  # nor has its own, nor that of libopus, which is compiled into it
            folder = WEB / "licences" / name
        words = (folder / "LICENSE").read_text(encoding="utf-8")
        source = facts.get("repository", {})
        source = source.get("url", "") if isinstance(source, dict) else source
        parts.append(f"{name} {facts['version']}: {facts['license']} ({source})\n\n{words}")
    parts.append(f"What is compiled into ONNX Runtime: see {NOTICES}\n")
    return ("\n" + "-" * 78 + "\n\n").join(parts)


def card() -> str:
    """The card of a static Space; its headers isolate the page, so that threads work at the first visit."""
    return (WEB / "space.md").read_text(encoding="utf-8")


def _js(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    """Builds the page with the models of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["small", "default"])
    parser.add_argument("--out", type=Path, default=DIST)
    arguments = parser.parse_args()
    if not (PACKAGES / RUNTIME).is_file():
        raise SystemExit("the npm packages are missing: run `npm ci --ignore-scripts` in web/, or `make web`")
    build(arguments.models, arguments.out)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {size / 1e6:.1f} MB with {', '.join(arguments.models)}")


if __name__ == "__main__":
    main()
