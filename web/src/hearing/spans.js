// Speech spans from frames, state for state as `Segmenter` and `_SpanBuilder` in ser_core/audio/vad.py.
// Everything counts integer samples at 16 kHz.

import { FrameClassifier } from "./frames.js";

// Joins speech frames into spans: closes pauses, drops short bursts, pads, and cuts long segments.
class SpanBuilder {
    constructor({ FRAME_SAMPLES, PAD, MIN_SPEECH, MIN_SILENCE, MAX_SPEECH }) {
        Object.assign(this, { frameSamples: FRAME_SAMPLES, pad: PAD }); // samples
        Object.assign(this, { minSpeech: MIN_SPEECH, minSilence: MIN_SILENCE, maxSpeech: MAX_SPEECH }); // frames
        this.position = 0; // frames pushed
        this.frames = []; // {speech, level in dB} since the start of the segment
        this.spoken = 0; // how many of these lie up to the last speech frame
        this.end = 0; // sample at which the last span ended
    }

    get openStart() {
        return this.spoken >= this.minSpeech ? this.keepFrom : null;
    }

    get openEnd() {
        return (this.position - this.frames.length + this.spoken) * this.frameSamples + this.pad;
    }

    get keepFrom() {
        return Math.max(this.end, (this.position - this.frames.length) * this.frameSamples - this.pad);
    }

    // Adds the next frame; returns the spans that it completes.
    push(speech, level) {
        this.position++;
        if (speech || this.frames.length) this.frames.push({ speech, level });
        if (speech) {
            this.spoken = this.frames.length;
            return this.spoken > this.maxSpeech ? this.cut() : [];
        }
        return this.frames.length - this.spoken >= this.minSilence ? this.close() : [];
    }

    // The span that is open at the end of a recording with `rest` samples after its last whole frame.
    finish(rest) {
        return this.close(this.position * this.frameSamples + rest);
    }

    close(total = Infinity) {
        const [start, end, spoken] = [this.keepFrom, this.openEnd, this.spoken];
        [this.frames, this.spoken] = [[], 0];
        if (spoken < this.minSpeech) return [];
        this.end = Math.min(end, total);
        return [{ start, end: this.end }];
    }

    // Ends the segment at the quietest frame of its second half, and pushes the rest again.
    cut() {
        let cut = Math.floor(this.maxSpeech / 2);
        for (let i = cut; i < this.frames.length - this.minSpeech; i++) {
            if (this.frames[i].level < this.frames[cut].level) cut = i;
        }
        const rest = this.frames.slice(cut);
        const start = this.keepFrom;
        this.position -= rest.length;
        this.end = this.position * this.frameSamples;
        [this.frames, this.spoken] = [[], 0];
        return [{ start, end: this.end }, ...rest.flatMap(({ speech, level }) => this.push(speech, level))];
    }
}

// Detects speech in sound that arrives in blocks.
export class Segmenter {
    constructor(wasm, settings) {
        this.settings = settings;
        this.classifier = new FrameClassifier(wasm, settings);
        this.builder = new SpanBuilder(settings);
        this.undecided = []; // {voiced, level} of frames without evidence yet
        this.covered = 0; // following frames that past evidence covers
        this.rest = new Float32Array(0); // less than a frame
    }

    // The spans that `samples` complete.
    push(samples) {
        const size = this.settings.FRAME_SAMPLES;
        const piece = new Float32Array(this.rest.length + samples.length);
        piece.set(this.rest);
        piece.set(samples, this.rest.length);
        const spans = [];
        let at = 0;
        for (; at + size <= piece.length; at += size) {
            spans.push(...this.decide(this.classifier.push(piece.subarray(at, at + size))));
        }
        this.rest = piece.slice(at);
        return spans;
    }

    // The spans that are left when the sound has ended; push nothing after it.
    flush() {
        const spans = this.passOn(this.undecided.length, false);
        this.classifier.free();
        return [...spans, ...this.builder.finish(this.rest.length)];
    }

    // Adds a frame. A voiced frame waits until evidence covers it or is too far away to do so.
    decide({ voiced, evident, level }) {
        const { REACH_FRAMES } = this.settings;
        this.undecided.push({ voiced, level });
        if (evident) this.covered = REACH_FRAMES + 1; // this frame and those after it
        if (this.covered) {
            this.covered--;
            return this.passOn(this.undecided.length, true);
        }
        const spans = this.passOn(Math.max(0, this.undecided.length - REACH_FRAMES), false);
        while (this.undecided.length && !this.undecided[0].voiced) spans.push(...this.passOn(1, false));
        return spans;
    }

    passOn(count, covered) {
        return this.undecided.splice(0, count).flatMap(({ voiced, level }) => this.builder.push(voiced && covered, level));
    }
}
