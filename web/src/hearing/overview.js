// What a page draws of a recording: outline and spectrogram, collected block by block.

import { BANDS, hertz, LogMel, MAGMA, mel, RANGE_DB, TOP_HZ } from "../assets/spectrogram.js";

const MAX_COLUMNS = 8000; // of the picture; more are averaged
const FLOOR_DB = -120; // of a stored level; a step is half a decibel
const FULL_SCALE = 127; // of an outline

// Grows by blocks, so that an hour needs no copy of what is there.
class Growing {
    constructor(Type, size) {
        Object.assign(this, { Type, size, blocks: [], length: 0 });
    }

    push(value) {
        if (this.length % this.size === 0) this.blocks.push(new this.Type(this.size));
        this.blocks.at(-1)[this.length++ % this.size] = value;
    }

    at(i) {
        return this.blocks[Math.floor(i / this.size)][i % this.size];
    }
}

export class Overview {
    constructor({ outline, sampleRate }) {
        Object.assign(this, { settings: outline, sampleRate, low: Infinity, high: -Infinity, count: 0 });
        [this.lows, this.highs] = [new Growing(Float32Array, 65536), new Growing(Float32Array, 65536)];
        this.mel = new LogMel(sampleRate);
        this.columns = new Growing(Uint8Array, BANDS * 4096);
        this.mel.push(new Float32Array(this.mel.window / 2)); // column i is centred on its time
    }

    push(samples) {
        for (const x of samples) {
            if (x < this.low) this.low = x;
            if (x > this.high) this.high = x;
            if (++this.count === this.settings.minSamples) this.close();
        }
        for (const column of this.mel.push(samples)) {
            for (const level of column) this.columns.push(Math.min(Math.max(2 * (level - FLOOR_DB), 0), 255));
        }
    }

    close() {
        this.lows.push(this.low);
        this.highs.push(this.high);
        Object.assign(this, { low: Infinity, high: -Infinity, count: 0 });
    }

    // As `outline` in ser_core/pictures/overview.py: int8 extremes as base64, 127 for `peak`.
    outline() {
        if (this.count) this.close();
        const { maxPeaks, minSamples } = this.settings;
        const each = Math.max(1, Math.ceil(this.lows.length / maxPeaks));
        const length = Math.ceil(this.lows.length / each);
        const [lows, highs] = [new Float32Array(length).fill(Infinity), new Float32Array(length).fill(-Infinity)];
        for (let i = 0; i < this.lows.length; i++) {
            const stretch = Math.floor(i / each);
            lows[stretch] = Math.min(lows[stretch], this.lows.at(i));
            highs[stretch] = Math.max(highs[stretch], this.highs.at(i));
        }
        const peak = highs.reduce((most, high, i) => Math.max(most, high, -lows[i]), 0);
        const scale = FULL_SCALE / Math.max(peak, 1e-6);
        const encoded = (values) => btoa(Array.from(values, (x) => String.fromCharCode(Math.round(x * scale) & 255)).join(""));
        return { per_second: this.sampleRate / (each * minSamples), peak, lows: encoded(lows), highs: encoded(highs) };
    }

    // The spectrogram as the blob of a picture; null for a recording shorter than a column.
    async picture() {
        const frames = this.columns.length / BANDS;
        if (!frames) return null;
        const each = Math.ceil(frames / MAX_COLUMNS);
        const width = Math.ceil(frames / each);
        const levels = new Float32Array(width * BANDS);
        for (let i = 0; i < frames; i++) {
            const column = Math.floor(i / each);
            const share = 1 / Math.min(each, frames - column * each);
            for (let band = 0; band < BANDS; band++) levels[column * BANDS + band] += share * this.columns.at(i * BANDS + band);
        }
        const top = levels.reduce((most, level) => Math.max(most, level), 0);
        const image = new ImageData(width, BANDS);
        for (let column = 0; column < width; column++) {
            for (let band = 0; band < BANDS; band++) {
                const level = 1 + (levels[column * BANDS + band] - top) / (2 * RANGE_DB);
                const share = Math.min(Math.max(level, 0), 0.999) * (MAGMA.length - 1);
                const [low, high] = [MAGMA[Math.floor(share)], MAGMA[Math.floor(share) + 1]];
                const at = 4 * ((BANDS - 1 - band) * width + column);
                for (let i = 0; i < 3; i++) image.data[at + i] = low[i] + (high[i] - low[i]) * (share % 1);
                image.data[at + 3] = 255;
            }
        }
        const canvas = new OffscreenCanvas(width, BANDS);
        canvas.getContext("2d").putImageData(image, 0, 0);
        return canvas.convertToBlob();
    }
}

// The centre of each band of the picture in Hz, as LogMel places them.
export function bandHz(sampleRate) {
    const top = mel(Math.min(TOP_HZ, sampleRate / 2));
    return Array.from({ length: BANDS }, (_, band) => Math.round(hertz((top * (band + 1)) / (BANDS + 1))));
}
