// Files as blocks of mono sound at their own rate. Containers are read by Mediabunny, codecs decoded by the browser
// (WebCodecs), or by libopus (opus.js). Where that fails, `decodeWhole` asks the page to try `decodeAudioData`.

import { ALL_FORMATS, AudioSampleSink, BlobSource, Input } from "../vendor/mediabunny.min.mjs";
import { Downmix } from "./downmix.js";
import { decodeOpus, lowRateOpus } from "./opus.js";
import { padding } from "./padding.js";

// A file that cannot be heard; codes as in ser_core/errors.py.
export class AudioError extends Error {
    constructor(code) {
        super(code);
        this.code = code;
    }
}

function checkHeader(rate, channels, duration, limits) {
    if (!(rate >= limits.min_sample_rate && rate <= limits.max_sample_rate)) throw new AudioError("bad_sample_rate");
    if (channels > limits.max_channels) throw new AudioError("too_many_channels");
    if (duration > limits.max_duration_s) throw new AudioError("too_long");
}

// Yields {rate, samples} of a file, about settings.blockS each; `warnings` gets the names of faults.
export async function* decode(file, settings, warnings, decodeWhole) {
    if (!file.size) throw new AudioError("empty");
    const { limits, largestSample, blockS } = settings;
    const mix = new Downmix(settings.channels);
    let [read, some] = [0, false];
    const checked = ({ rate, channels }) => {
        const samples = mix.mix(channels, rate);
        read += samples.length / rate;
        if (read > limits.max_duration_s) throw new AudioError("too_long");
        // NaN is not below it either. Resampling would make NaN of numbers that are far larger.
        if (!samples.every((x) => Math.abs(x) < largestSample)) throw new AudioError("not_finite");
        some = true;
        return { rate, samples };
    };
    try {
        for await (const block of streamed(file, limits, blockS)) yield checked(block);
    } catch (error) {
        if (error instanceof AudioError) throw error;
        if (some) warnings.push("Damaged");
        else for (const block of await whole(file, limits, blockS, decodeWhole, error)) yield checked(block);
    }
    if (read < limits.min_duration_s) throw new AudioError("too_short");
    if (mix.channel !== null) warnings.push("Channels cancel");
}

async function* streamed(file, limits, blockS) {
    const input = new Input({ source: new BlobSource(file), formats: ALL_FORMATS });
    try {
        const track = await input.getPrimaryAudioTrack();
        if (!track) throw new AudioError("no_audio");
        const head = await lowRateOpus(input, track);
        if (!head && !(await track.canDecode())) throw new Error("the browser has no decoder for this");
        checkHeader(head?.rate ?? track.sampleRate, track.numberOfChannels, await input.computeDuration(), limits);
        let [pending, rate, waiting] = [[], 0, 0]; // frames wait
        for await (const piece of head ? opusPieces(track, head) : pieces(file, track, limits)) {
            if (pending.length && (piece.rate !== rate || waiting >= blockS * rate)) {
                yield joined(pending, rate);
                [pending, waiting] = [[], 0];
            }
            rate = piece.rate;
            pending.push(piece.planes);
            waiting += piece.planes[0].length;
        }
        if (pending.length) yield joined(pending, rate);
    } finally {
        input.dispose();
    }
}

async function* opusPieces(track, head) {
    for await (const planes of decodeOpus(track, head)) yield { rate: head.rate, planes };
}

// What the browser decodes, without what an encoder put around the sound.
async function* pieces(file, track, limits) {
    const { before, frames, first = 0 } = await padding(file, track);
    let [at, end] = [0, null]; // frames; `end` is where the sound ends
    for await (const sample of new AudioSampleSink(track).samples()) {
        const { sampleRate: rate, numberOfFrames } = sample;
        checkHeader(rate, sample.numberOfChannels, 0, limits);
        end ??= before + frames - Math.max(first - numberOfFrames, 0);
        const early = Math.max(before - at, Math.round(-sample.timestamp * rate), 0); // before zero: a codec's delay
        yield { rate, planes: planes(sample).map((plane) => plane.subarray(early, Math.max(end - at, 0))) };
        at += numberOfFrames;
        sample.close();
    }
}

function planes(sample) {
    return Array.from({ length: sample.numberOfChannels }, (_, planeIndex) => {
        const plane = new Float32Array(sample.numberOfFrames);
        sample.copyTo(plane, { planeIndex, format: "f32-planar" });
        return plane;
    });
}

function joined(pieces, rate) {
    const count = Math.max(...pieces.map((piece) => piece.length));
    const length = pieces.reduce((sum, piece) => sum + piece[0].length, 0);
    const channels = Array.from({ length: count }, () => new Float32Array(length));
    let at = 0;
    for (const piece of pieces) {
        channels.forEach((channel, i) => channel.set(piece[Math.min(i, piece.length - 1)], at));
        at += piece[0].length;
    }
    return { rate, channels };
}

// The file decoded at once by the page, in pieces.
async function whole(file, limits, blockS, decodeWhole, reason) {
    const decoded = await decodeWhole(file);
    if (!decoded) {
        console.info(`this file cannot be read: ${reason.message}`);
        throw new AudioError("unsupported_format");
    }
    const { rate, channels } = decoded;
    checkHeader(rate, channels.length, channels[0].length / rate, limits);
    const length = blockS * rate;
    return Array.from({ length: Math.ceil(channels[0].length / length) }, (_, i) => ({
        rate,
        channels: channels.map((channel) => channel.subarray(i * length, (i + 1) * length)),
    }));
}
