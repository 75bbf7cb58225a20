"""Published weights are fetched once, resumed, checked and kept; what goes wrong is said in words."""

import hashlib
import re
import threading
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ser_core.models.pretrained import (
    PUBLISHED,
    PretrainedError,
    PretrainedWeights,
    fetch,
    load_into,
    locate,
    read_tensors,
)

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Shelf:
    """What a server offers, how it behaves, and the Range headers it was sent."""

    files: dict[str, bytes] = field(default_factory=dict)
    knows_range: bool = True
    breaks_after: int | None = None  # bytes, once
    status: int = 200
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    def __init__(self, shelf: Shelf, *args) -> None:
        self.shelf = shelf
        super().__init__(*args)

    def do_GET(self) -> None:
        content = self.shelf.files.get(self.path.removeprefix("/"))
        requested_range = self.headers.get("Range")
        self.shelf.ranges.append(requested_range)
        if content is None or self.shelf.status != 200:
            self.send_error(404 if content is None else self.shelf.status)
            return
        start = 0
        if requested_range and self.shelf.knows_range:
            start = int(re.fullmatch(r"bytes=(\d+)-", requested_range)[1])
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end, self.shelf.breaks_after = self.shelf.breaks_after, None
        self.wfile.write(content[start:end])

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def shelf():
    shelf = Shelf({"tiny.pth": CONTENT})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, shelf))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    shelf.url = f"http://127.0.0.1:{server.server_port}"
    yield shelf
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tiny(shelf) -> PretrainedWeights:
    return PretrainedWeights("test/tiny", f"{shelf.url}/tiny.pth", SHA256)


def code_of(call) -> str:
    with pytest.raises(PretrainedError) as caught:
        call()
    assert caught.value.message
    return caught.value.code


def test_a_download_is_complete_reported_and_kept(shelf, tiny, tmp_path):
    reports = []
    path = fetch(tiny, tmp_path / "cache", progress=lambda done, total: reports.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path == tmp_path / "cache" / "test--tiny.pth"
    assert reports[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(tiny, tmp_path / "cache") == path
    assert len(shelf.ranges) == 1  # the second time nothing was asked of the server


def test_a_broken_download_goes_on_where_it_stopped(shelf, tiny, tmp_path):
    shelf.breaks_after = 1000
    assert code_of(lambda: fetch(tiny, tmp_path)) == "no_network"
    assert not (tmp_path / "test--tiny.pth").exists()
    assert fetch(tiny, tmp_path).read_bytes() == CONTENT
    assert shelf.ranges == [None, "bytes=1000-"]
    assert not (tmp_path / "test--tiny.pth.partial").exists()


def test_a_server_without_ranges_starts_over(shelf, tiny, tmp_path):
    shelf.knows_range = False
    (tmp_path / "test--tiny.pth.partial").write_bytes(CONTENT[:77])
    assert fetch(tiny, tmp_path).read_bytes() == CONTENT


def test_leftovers_longer_than_the_file_are_dropped(shelf, tiny, tmp_path):
    (tmp_path / "test--tiny.pth.partial").write_bytes(CONTENT + b"more")
    assert fetch(tiny, tmp_path).read_bytes() == CONTENT
    assert shelf.ranges[-1] is None


def test_a_wrong_file_is_not_kept(shelf, tiny, tmp_path):
    shelf.files["tiny.pth"] = CONTENT[::-1]
    assert code_of(lambda: fetch(tiny, tmp_path)) == "hash_mismatch"
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []
    shelf.files["tiny.pth"] = CONTENT
    assert fetch(tiny, tmp_path).read_bytes() == CONTENT


def test_a_damaged_cache_is_noticed(tiny, tmp_path):
    fetch(tiny, tmp_path).write_bytes(b"damaged")
    assert code_of(lambda: fetch(tiny, tmp_path)) == "hash_mismatch"


def test_a_published_prefix_is_enough_to_tell(shelf, tmp_path):
    right = PretrainedWeights("right", f"{shelf.url}/tiny.pth", SHA256[:8])
    wrong = PretrainedWeights("wrong", f"{shelf.url}/tiny.pth", "00000000")
    assert fetch(right, tmp_path).read_bytes() == CONTENT
    assert code_of(lambda: fetch(wrong, tmp_path)) == "hash_mismatch"


def test_without_a_published_hash_the_first_download_holds(shelf, tmp_path):
    weights = PretrainedWeights("unpinned", f"{shelf.url}/tiny.pth")
    path = fetch(weights, tmp_path)
    assert (tmp_path / "unpinned.pth.sha256").read_text().strip() == SHA256
    path.write_bytes(CONTENT[:-1])
    assert code_of(lambda: fetch(weights, tmp_path)) == "hash_mismatch"


def test_a_missing_file_is_not_found(shelf, tmp_path):
    missing = PretrainedWeights("missing", f"{shelf.url}/nowhere.pth", SHA256)
    assert code_of(lambda: fetch(missing, tmp_path)) == "not_found"


def test_a_busy_server_is_a_matter_of_the_network(shelf, tiny, tmp_path):
    shelf.status = 503
    assert code_of(lambda: fetch(tiny, tmp_path)) == "no_network"


def test_no_server_is_no_network(tmp_path):
    refused = PretrainedWeights("refused", "http://127.0.0.1:1/tiny.pth", SHA256)
    with pytest.raises(PretrainedError, match=r"goes on where it stopped.*give its path") as caught:
        fetch(refused, tmp_path)
    assert caught.value.code == "no_network"


def test_offline_takes_what_is_there_and_asks_nobody(shelf, tiny, tmp_path, monkeypatch):
    assert code_of(lambda: fetch(tiny, tmp_path, offline=True)) == "offline"
    monkeypatch.setenv("SER_OFFLINE", "1")
    assert code_of(lambda: fetch(tiny, tmp_path)) == "offline"
    assert shelf.ranges == []
    (tmp_path / "test--tiny.pth").write_bytes(CONTENT)
    assert fetch(tiny, tmp_path).read_bytes() == CONTENT


def test_two_at_once_download_once(shelf, tiny, tmp_path):
    threads = [threading.Thread(target=fetch, args=(tiny, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "test--tiny.pth").read_bytes() == CONTENT
    assert shelf.ranges == [None]


def test_a_cache_that_cannot_be_written_is_named(tiny, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert code_of(lambda: fetch(tiny, tmp_path / "file")) == "unwritable"


def test_a_path_or_a_known_name_is_located(tmp_path, monkeypatch):
    monkeypatch.setenv("SER_CACHE", str(tmp_path))
    monkeypatch.setenv("SER_OFFLINE", "1")
    (tmp_path / "own.safetensors").write_bytes(CONTENT)
    assert locate(tmp_path / "own.safetensors") == tmp_path / "own.safetensors"
    assert code_of(lambda: locate(Path("openai/whisper-tiny"))) == "offline"
    with pytest.raises(PretrainedError, match=r"vgg99 is neither a file nor.*openai/whisper-tiny"):
        locate("vgg99")


def test_published_weights_come_by_https_and_never_share_a_file():
    assert all(weights.url.startswith("https://") for weights in PUBLISHED.values())
    assert len({weights.filename for weights in PUBLISHED.values()}) == len(PUBLISHED)
    assert "397923af" in PUBLISHED["vgg16"].url
    assert PUBLISHED["vgg16"].sha256.startswith("397923af")


def test_tensors_are_read_from_both_formats(tmp_path):
    tensors = {"weight": torch.randn(2, 3), "bias": torch.zeros(2)}
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "b.pth")
    torch.save(tensors, tmp_path / "c.pth", _use_new_zipfile_serialization=False)  # as VGG16's file is
    for path in sorted(tmp_path.iterdir()):
        torch.testing.assert_close(read_tensors(path), tensors)


class Command:
    """What an attacker would put into a pickle."""

    def __reduce__(self):
        return (Path.touch, (Path("made-by-a-pickle"),))


def test_a_file_that_brings_code_is_refused_unrun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Command()}, "evil.pth")
    assert code_of(lambda: read_tensors(Path("evil.pth"))) == "unreadable"
    assert not Path("made-by-a-pickle").exists()


@pytest.mark.parametrize("name", ["text.pth", "text.safetensors"])
def test_what_is_no_weights_file_is_unreadable(tmp_path, name):
    (tmp_path / name).write_text("<html>sign in to this network</html>")
    assert code_of(lambda: read_tensors(tmp_path / name)) == "unreadable"


def test_something_else_than_tensors_is_unreadable(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "run.pth")
    assert code_of(lambda: read_tensors(tmp_path / "run.pth")) == "unreadable"


def test_weights_of_another_size_are_refused():
    wrong = {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}
    with pytest.raises(PretrainedError, match=r"a\.pth does not hold the layer") as caught:
        load_into(nn.Linear(3, 2), wrong, Path("a.pth"), "the layer")
    assert caught.value.code == "wrong_weights"
