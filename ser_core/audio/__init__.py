"""From untrusted bytes to mono 16 kHz speech: decoding, quality, speech detection, the microphone."""
