"""Computes probabilities with ONNX Runtime, without torch; `train export --onnx` makes the files."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_core.audio.waveform import Samples, windows_of
from ser_core.checkpoint.bundle import Bundle, BundleError
from ser_core.errors import DeviceError, how_to_install
from ser_core.models.middle_states import MiddleStates
from ser_core.models.session import Judged, Session

# Keys in the file's metadata: hash of the weights that it was exported from, and the architecture's options
# as JSON with sorted keys. Files from before there were options lack them, and had none.
WEIGHTS_SHA256 = "weights_sha256"
OPTIONS = "options"


class OnnxRuntime:
    """Runs a checkpoint's ONNX file on the CPU, one clip at a time, so without padding.

    The checkpoint's model card describes inputs and outputs of the file.
    """

    device = "cpu"

    def __init__(self, bundle: Bundle, file: str, device: str = "auto") -> None:
        """`file`: name of the ONNX file in the bundle's folder. Raises BundleError and DeviceError.

        BundleError has code `no_onnx` if the file is missing, `bad_onnx` if it is damaged, `stale_onnx` if it
        was exported from other weights or options, and `no_onnxruntime` without ONNX Runtime.
        """
        if device not in ("auto", "cpu"):
            raise DeviceError(f"ONNX files run on the cpu here, not on {device!r}: use --runtime torch")
        self.bundle = bundle
        self._session = _open_session(bundle, file)
        shapes = {tensor.name: tensor.shape for tensor in self._session.get_inputs()}
        self._state_size = shapes["session"][1] if "session" in shapes else None
        self.adapts = self._state_size is not None

    def probabilities(self, clips: Sequence[Samples]) -> NDArray[np.float64]:
        """See `Recognizer.probabilities`."""
        total = np.zeros((len(clips), len(self.bundle.labels)))
        for row, window in windows_of(clips, self.bundle.window_s):
            outputs = self._run(window, None)
            total[row] += outputs["probabilities" if self._state_size is None else "alone"]
        mean: NDArray[np.float64] = total / total.sum(axis=1, keepdims=True)
        return mean

    def embeddings(
        self, clips: Sequence[Samples], middle: Sequence[MiddleStates | None] = ()
    ) -> NDArray[np.float32] | None:
        """None: the file judges from the sound alone."""
        return None

    def judge(self, embeddings: NDArray[np.float32], sessions: Sequence[Session]) -> Judged:
        """Not possible, see `embeddings`."""
        raise NotImplementedError

    def in_sessions(
        self,
        clips: Sequence[Samples],
        sessions: Sequence[Session],
        final: Sequence[bool],
        middle: Sequence[MiddleStates | None] = (),
    ) -> Judged:
        """Class probabilities; a model that does not adapt judges each clip by itself.

        `middle` is not used: the file computes all of it.
        """
        if self._state_size is None:
            rows = self.probabilities(clips)
            return Judged(rows, rows)
        judged = Judged(*np.zeros((2, len(clips), len(self.bundle.labels))))
        for number, (clip, session, is_final) in enumerate(zip(clips, sessions, final, strict=True)):
            outputs = self._run(clip, session.state)
            if session.settled and session.state is not None:  # the state includes this clip: subtract it
                outputs = self._run(clip, 2 * session.state - outputs["session_after"])
            for rows, name in zip(judged, ("probabilities", "alone"), strict=True):
                rows[number] = outputs[name] / outputs[name].sum(dtype=np.float64)
            if is_final and not session.settled:
                session.state = outputs["session_after"]
        return judged

    def _run(self, clip: Samples, state: NDArray[np.float32] | None) -> dict[str, NDArray[np.float32]]:
        """The file's outputs for one clip, by name; `state` is None for a new session."""
        inputs = {"samples": clip[None], "lengths": np.array([len(clip)], np.int64)}
        if self._state_size is not None:
            inputs["session"] = np.zeros((1, self._state_size), np.float32) if state is None else state[None]
        names = [output.name for output in self._session.get_outputs()]
        values = self._session.run(names, inputs)
        return {name: value[0] for name, value in zip(names, values, strict=True)}


def _open_session(bundle: Bundle, file: str) -> Any:
    """The `onnxruntime.InferenceSession` of a bundle's file."""
    try:
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf
    except ImportError as error:
        raise BundleError(
            "no_onnxruntime", f"ONNX Runtime cannot be used ({error}): {how_to_install()}"
        ) from None
    assert bundle.path is not None
    path = bundle.path / file
    if not path.is_file():
        raise BundleError(
            "no_onnx",
            f"{bundle.path.name} has no {file}: make it with `python -m train export {bundle.path} --onnx` "
            "where torch is installed",
        )
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise BundleError(
            "bad_onnx", f"{bundle.path.name}/{file} cannot be used ({error}): export it again"
        ) from None
    made_from = session.get_modelmeta().custom_metadata_map
    if made_from.get(WEIGHTS_SHA256) != bundle.sha256:
        raise BundleError("stale_onnx", f"{bundle.path.name}/{file} is of other weights: export it again")
    if made_from.get(OPTIONS, "{}") != options_of(bundle):
        raise BundleError("stale_onnx", f"{bundle.path.name}/{file} has other options: export it again")
    return session


def options_of(bundle: Bundle) -> str:
    """The architecture's options as a file's metadata have them."""
    return json.dumps(bundle.options, sort_keys=True)
