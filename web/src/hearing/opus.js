// Opus of Ogg files that was coded from less than 48 kHz, decoded at the rate that its header names, as libsndfile
// does for the Python code. Browsers decode all Opus at 48 kHz: what is resampled from there differs in phase.

import "../vendor/opus-decoder.min.js";
import { EncodedPacketSink, OGG } from "../vendor/mediabunny.min.mjs";

const { OpusDecoder } = globalThis["opus-decoder"];
const RATES = [8_000, 12_000, 16_000, 24_000]; // Hz, that libopus decodes at, below a browser's
const FULL_RATE = 48_000; // Hz, of the counts in headers
const MAX_CHANNELS = 2; // more need a table of channels
const HEAD = "OpusHead";

// {rate, channels, skip in samples, gain} of an Ogg file's header, https://www.rfc-editor.org/rfc/rfc7845#section-5.1;
// null where the browser's decoder does as well.
export async function lowRateOpus(input, track) {
    if (track.codec !== "opus" || (await input.getFormat()) !== OGG) return null;
    const { description } = await track.getDecoderConfig();
    if (!description) return null;
    const bytes = ArrayBuffer.isView(description) ? description : new Uint8Array(description);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (String.fromCharCode(...bytes.subarray(0, HEAD.length)) !== HEAD) return null;
    const [channels, skip, named] = [view.getUint8(9), view.getUint16(10, true), view.getUint32(12, true)];
    const rate = named && RATES.find((one) => one >= named);
    if (!rate || channels > MAX_CHANNELS) return null;
    const gain = 10 ** (view.getInt16(16, true) / 256 / 20);
    return { rate, channels, skip: Math.floor((skip * rate) / FULL_RATE), gain };
}

// Yields the channels of each packet, cut to the sound. `head`: of lowRateOpus.
export async function* decodeOpus(track, { rate, channels, skip, gain }) {
    const decoder = new OpusDecoder({ sampleRate: rate, channels });
    await decoder.ready;
    try {
        const end = skip + Math.round((await track.computeDuration()) * rate);
        let at = 0;
        for await (const { data } of new EncodedPacketSink(track).packets()) {
            const { channelData, samplesDecoded, errors } = decoder.decodeFrame(data);
            if (errors.length) throw new Error(errors[0].message);
            const [from, to] = [Math.max(skip - at, 0), Math.min(end - at, samplesDecoded)];
            if (from < to) yield channelData.map((channel) => channel.slice(from, to).map((x) => x * gain));
            at += samplesDecoded;
        }
    } finally {
        decoder.free();
    }
}
