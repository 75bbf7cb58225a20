"""The options `--voices` and `--channels`, as the commands share them."""

from typing import TYPE_CHECKING, Annotated

import typer

from ser_core.commands.terminal import stop

if TYPE_CHECKING:
    from ser_core.recognition.recording import VoiceOptions

AUTO, ONE = "auto", "one"
CHANNELS = ("auto", "mix", "each")

Voices = Annotated[
    str | None,
    typer.Option(
        metavar="auto|one|N",
        help="Tell voices apart: auto finds how many speak, N says so, one takes all for one voice.",
    ),
]
Channels = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(CHANNELS),
        help="each: every channel is a voice; auto: where two carry different speech; mix: one of all.",
    ),
]


def options_of(voices: str | None, channels: str | None) -> "VoiceOptions":
    """What was asked for, None being what is done unasked. Ends the command where it makes no sense."""
    from ser_core.checkpoint.bundle import BundleError
    from ser_core.recognition.recording import VoiceOptions, diarizer_for

    try:
        options = VoiceOptions.named(voices or AUTO, channels or AUTO)
    except ValueError as error:
        stop(f"--voices and --channels: {error}")
    if options.voices not in (None, 1):
        try:
            diarizer_for(options)
        except BundleError as error:
            stop(f"--voices {voices} cannot be told apart: {error.message}")
    return options


def described(options: "VoiceOptions") -> dict[str, str]:
    """`options` as the heading of a journal has them."""
    voices = AUTO if options.voices is None else ONE if options.voices == 1 else str(options.voices)
    return {"voices": voices, "channels": options.decoded_channels}
