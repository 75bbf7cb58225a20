// Cuts speech clips out of sound that arrives in blocks, as ser_core/audio/speech.py.

import { mean } from "./frames.js";
import { QualityMeter } from "./quality.js";
import { Segmenter } from "./spans.js";

export class SpeechStream {
    constructor(wasm, { vad, quality }) {
        Object.assign(this, { samplesRead: 0, offsetMin: vad.OFFSET_MIN });
        this.segmenter = new Segmenter(wasm, vad);
        this.meter = new QualityMeter(quality);
        this.blocks = []; // the latest samples
        this.first = 0; // index of the first sample in `blocks`
    }

    // The clips {span: {start, end}, samples} that `block` completes: mono at 16 kHz, any length.
    push(block) {
        this.meter.push(block);
        this.blocks.push(block);
        this.samplesRead += block.length;
        const clips = this.segmenter.push(block).map((span) => this.cut(span));
        this.dropBefore(this.segmenter.builder.keepFrom);
        return clips;
    }

    // The clips that are left when the sound has ended.
    flush() {
        const clips = this.segmenter.flush().map((span) => this.cut(span));
        this.blocks = [];
        return clips;
    }

    // The span of the segment that is being spoken, up to the last speech; null in silence.
    get openSpan() {
        const { openStart, openEnd } = this.segmenter.builder;
        return openStart === null ? null : { start: openStart, end: Math.min(openEnd, this.samplesRead) };
    }

    // The clip of a span, without a DC offset: it would count as level.
    cut(span) {
        const samples = new Float32Array(span.end - span.start);
        let at = this.first;
        for (const block of this.blocks) {
            const [from, to] = [Math.max(span.start - at, 0), Math.min(span.end - at, block.length)];
            if (from < to) samples.set(block.subarray(from, to), at + from - span.start);
            at += block.length;
        }
        const offset = mean(samples);
        if (Math.abs(offset) >= this.offsetMin) for (let i = 0; i < samples.length; i++) samples[i] -= offset;
        return { span, samples };
    }

    quality() {
        return this.meter.report();
    }

    dropBefore(index) {
        while (this.blocks.length && this.first + this.blocks[0].length <= index) this.first += this.blocks.shift().length;
    }
}
