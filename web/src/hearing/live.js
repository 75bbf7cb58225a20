// A live session: chunks go in while a person speaks, events come out. As ser_core/recognition/live.py.

import { Resampler } from "./resampler.js";
import { SpeechStream } from "./speech.js";
import { analysisJson, makeSegment, segmentJson } from "./verdicts.js";

const LATE_MS = 250; // sound that waited longer: the worker is behind, and leaves out what is not final
const PATIENCE = 2; // a provisional result may take the model this share of the time until the next one: 1 / PATIENCE

export class LiveSession {
    // `emit(type, fields)` is called with each event: `level`, `segment`, `done` and `failed`.
    constructor(rate, { model, wasm, settings }, emit) {
        Object.assign(this, { rate, model, settings, emit });
        this.received = 0; // samples at `rate`
        this.resampler = new Resampler(rate, settings.sampleRate);
        this.stream = new SpeechStream(wasm, settings);
        this.state = null; // of the model's session
        this.segments = [];
        this.count = 0; // segments that have ended
        this.finals = []; // clips that wait for the model
        this.waiting = null; // the provisional clip that does
        this.early = null; // {key, result}: a provisional result that is the final one if nothing more is said
        this.due = 0; // sample at which the next provisional result is
        this.interval = settings.live.provisionalSamples;
        this.levelled = 0; // samples with a level
        this.working = false;
        this.late = false; // the last chunk
    }

    get busy() {
        return this.working;
    }

    // Adds a chunk of int16 samples that waited for `waitedMs`.
    push(chunk, waitedMs) {
        this.received += chunk.length;
        this.late = waitedMs > LATE_MS;
        this.process(this.resampler.push(Float32Array.from(chunk, (x) => x / 32768)));
    }

    // Ends the sound; `done` follows the last final segment.
    finish() {
        this.process(this.resampler.flush());
        this.submit(this.stream.flush());
        this.ended = true;
        this.work();
    }

    process(samples) {
        const { provisionalSamples, levelSamples } = this.settings.live;
        for (let at = 0; at < samples.length; at += provisionalSamples) {
            this.submit(this.stream.push(samples.slice(at, at + provisionalSamples)));
            this.offer();
            for (; this.levelled + levelSamples <= this.stream.samplesRead; this.levelled += levelSamples) {
                const time = (this.levelled + levelSamples) / this.settings.sampleRate;
                this.emit("level", { time, speech: this.stream.openSpan !== null, samples_received: this.received });
            }
        }
        this.work();
    }

    submit(clips) {
        for (const clip of clips) {
            this.finals.push({ ...clip, id: this.count++, ended: performance.now() });
            [this.waiting, this.due, this.paused] = [null, 0, false];
        }
    }

    // Asks for a provisional result when one is due; and in a pause, which may become the end, for what would be final.
    offer() {
        const { samplesRead, openSpan } = this.stream;
        if (!openSpan || this.late || this.finals.length) return;
        const pause = openSpan.end < samplesRead;
        if (pause ? this.paused : samplesRead < this.due) {
            if (!pause) this.paused = false;
            return;
        }
        this.paused = pause;
        this.due = samplesRead + this.interval;
        this.waiting = { ...this.stream.cut(openSpan), id: this.count };
    }

    // Lets the model judge what waits, final clips first.
    async work() {
        if (this.working) return;
        this.working = true;
        try {
            while (this.finals.length || this.waiting) await this.next();
            if (this.ended) this.conclude();
        } catch (error) {
            this.emit("failed", { message: error.message });
        }
        this.working = false;
    }

    async next() {
        const final = this.finals.length > 0;
        const clip = final ? this.finals.shift() : this.waiting;
        if (!final) this.waiting = null;
        const key = `${clip.id} ${clip.span.start} ${clip.span.end}`;
        const began = performance.now();
        const result = this.early?.key === key ? this.early.result : await this.model.judge(clip.samples, this.state);
        const took = ((performance.now() - began) / 1000) * this.settings.sampleRate;
        const segment = makeSegment(clip.span, result.probabilities, this.model.description, this.settings);
        if (final) {
            this.state = result.after;
            this.segments.push(segment);
            this.early = null;
        } else {
            this.early = { key, result };
            this.interval = Math.max(this.settings.live.provisionalSamples, PATIENCE * took);
        }
        const waited = final ? performance.now() - clip.ended : 0;
        this.emit("segment", { ...segmentJson(segment), final, id: clip.id, waited });
    }

    conclude() {
        const duration = this.stream.samplesRead / this.settings.sampleRate;
        const whole = { source: "", duration, quality: this.stream.quality(), segments: this.segments };
        const analysis = analysisJson(whole, this.model.description, this.settings.schema);
        this.emit("done", { analysis, samples_received: this.received });
    }
}
