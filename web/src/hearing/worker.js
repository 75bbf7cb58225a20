// The worker that hears: it decodes, finds speech and runs the model, so that the page never stutters.

import fvad from "../vendor/fvad.js";
import { decode } from "./decode.js";
import { LiveSession } from "./live.js";
import { Model } from "./model.js";
import { bandHz, Overview } from "./overview.js";
import { Resampler } from "./resampler.js";
import { SpeechStream } from "./speech.js";
import { analysisJson, makeSegment } from "./verdicts.js";

let hearing = null; // {model, wasm, settings}
let live = null;
let current = 0; // number of the file that is analysed
const decoding = new Map(); // resolvers of files that the page decodes

const send = (type, fields = {}, transfer = []) => self.postMessage({ type, ...fields }, transfer);

// Lets messages in: an await alone does not.
const breathe = () =>
    new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => (port1.close(), resolve());
        port2.postMessage(null);
    });

async function open({ wasm, bytes, description, threads, settings }) {
    await hearing?.model.close();
    hearing = null;
    const model = await Model.open({ wasm, bytes: new Uint8Array(bytes), description, threads });
    await model.judge(new Float32Array(settings.sampleRate), null); // the first run allocates
    hearing = { model, wasm: await fvad(), settings };
    send("opened", { bandHz: bandHz(settings.sampleRate) });
}

async function analyse({ number, file }) {
    current = number;
    const { model, wasm, settings } = hearing;
    const [stream, overview, warnings] = [new SpeechStream(wasm, settings), new Overview(settings), []];
    const decodeWhole = (blob) => {
        send("decode", { number, file: blob });
        return new Promise((resolve) => decoding.set(number, resolve));
    };
    const [segments, byItself] = [[], []]; // `byItself`: probabilities of each segment without its session
    let [resampler, state] = [null, null];
    const judge = async (clips) => {
        for (const clip of clips) {
            do await breathe();
            while (live?.busy); // who speaks does not wait for a file
            if (current !== number) return;
            const { probabilities, alone, after } = await model.judge(clip.samples, state);
            state = after;
            byItself.push(alone);
            segments.push(makeSegment(clip.span, probabilities, model.description, settings));
        }
        send("progress", { number, seconds: stream.samplesRead / settings.sampleRate, segments: segments.length });
    };
    const hear = (samples) => {
        overview.push(samples);
        return judge(stream.push(samples));
    };
    for await (const { rate, samples } of decode(file, settings, warnings, decodeWhole)) {
        if (current !== number) return; // another file was opened
        if (resampler?.from !== rate) {
            if (resampler) await hear(resampler.flush());
            resampler = new Resampler(rate, settings.sampleRate);
        }
        await hear(resampler.push(samples));
    }
    await hear(resampler.flush());
    await judge(stream.flush());
    if (current !== number) return;
    const duration = stream.samplesRead / settings.sampleRate;
    const quality = stream.quality();
    const analysis = analysisJson({ source: file.name, duration, quality, segments }, model.description, settings.schema);
    send("analysis", { number, analysis, byItself, warnings, outline: overview.outline(), picture: await overview.picture() });
}

const tasks = {
    open,
    file: analyse,
    cancel: () => (current = 0),
    decoded: ({ number, decoded }) => decoding.get(number)?.(decoded),
    begin: ({ rate, session }) =>
        (live = new LiveSession(rate, hearing, (event, fields) => send("live", { session, event, ...fields }))),
    frames: ({ samples, sent }) => live?.push(samples, performance.timeOrigin + performance.now() - sent),
    end: () => live?.finish(),
};

self.onmessage = async ({ data }) => {
    try {
        await tasks[data.type](data);
    } catch (error) {
        if (data.type === "file") current = 0;
        send("failed", { task: data.type, number: data.number, code: error.code ?? null, message: String(error.message ?? error) });
    }
};
