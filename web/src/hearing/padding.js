// What an encoder put around the sound, which a browser decodes like sound: the start of MP3, the end of MP3 and
// Opus. The counts of FFmpeg, which the Python code decodes with.

import { EncodedPacketSink } from "../vendor/mediabunny.min.mjs";

const MP3_DECODER_DELAY = 529; // samples that every decoder of MP3 adds at the start
const ENCODERS = ["LAME", "Lavf", "Lavc"]; // that say how many samples they added
const SEARCHED = 4096; // bytes from the first frame on, in which its tag lies
const ID3_HEADER = 10; // bytes
const OPUS_RATE = 48_000; // Hz, of every decoder in a browser
const NOTHING = { before: 0, frames: Infinity };

// {before, frames, first}: samples to leave out at the start, and how many to keep after them; for Opus also how
// many the first packet stands for: what the decoder gives less of it, it has left out itself.
export async function padding(file, track) {
    if (track.codec === "mp3") return mp3(file);
    return track.codec === "opus" ? opus(track) : NOTHING;
}

// From the tag of LAME in the first frame, http://gabriel.mp3-tech.org/mp3infotag.html.
async function mp3(file) {
    const read = async (from, to) => new Uint8Array(await file.slice(from, to).arrayBuffer());
    const text = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
    const head = await read(0, ID3_HEADER);
    const tagged = text(head, 0, 3) === "ID3";
    const start = tagged ? ID3_HEADER + head.subarray(6, 10).reduce((size, byte) => 128 * size + byte, 0) : 0;
    const bytes = await read(start, start + SEARCHED);
    const at = [...bytes.keys()].find((i) => ["Xing", "Info"].includes(text(bytes, i, 4)));
    if (at === undefined || at + 160 > bytes.length) return NOTHING;
    const view = new DataView(bytes.buffer);
    const flags = view.getUint32(at + 4);
    const encoder = at + 8 + [4, 4, 100, 4].reduce((size, field, bit) => size + (flags & (1 << bit) ? field : 0), 0);
    if (!ENCODERS.includes(text(bytes, encoder, 4))) return NOTHING;
    const [high, middle, low] = bytes.subarray(encoder + 21, encoder + 24);
    const before = (high << 4) + (middle >> 4) + MP3_DECODER_DELAY;
    const after = ((middle & 15) << 8) + low - MP3_DECODER_DELAY;
    const frame = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] >= 0xe0); // its header
    const each = (bytes[frame + 1] & 0x18) === 0x18 ? 1152 : 576; // samples a frame, MPEG 1 or 2
    return { before, frames: flags & 1 ? view.getUint32(at + 8) * each - before - Math.max(after, 0) : Infinity };
}

// The last packet ends with the sound; the decoder gives all of it.
async function opus(track) {
    const packet = await new EncodedPacketSink(track).getFirstPacket();
    if (!packet) return NOTHING;
    const [first, frames] = [packet.duration, (await track.computeDuration()) - packet.timestamp].map((s) => Math.round(s * OPUS_RATE));
    return { before: 0, frames, first };
}
