// Brings sound that arrives in blocks to 16 kHz: a polyphase low-pass filter. For common rates its weights are
// those of soxr, which the Python code uses, measured by web/resampling.py; soxr itself is not to be had as an npm
// package. For other rates it is a windowed sinc (Kaiser's window) with soxr's passband, stopband and delay (none).

import { measured } from "../filters.js";

const PASSBAND = 0.913; // share of the lower of both Nyquist frequencies that passes untouched
const ATTENUATION_DB = 100; // of what would fold back
const MAX_PHASES = 4096; // rates without a common measure use the nearest of so many phases

function bessel(x) {
    let [sum, term] = [1, 1];
    for (let k = 1; term > 1e-12 * sum; k++) {
        term *= (x / (2 * k)) ** 2;
        sum += term;
    }
    return sum;
}

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

export class Resampler {
    constructor(from, to) {
        Object.assign(this, { from, to, received: 0, sent: 0, start: 0 });
        this.kept = new Float32Array(0); // input from index `start` on
        if (from === to) return;
        const common = divisor(from, to);
        this.phases = Math.min(to / common, MAX_PHASES);
        if (from in measured) this.unpack(measured[from]);
        else this.design(Math.min(from, to) / 2);
        this.extend(new Float32Array(this.half)); // silence before the sound
        this.start = -this.half;
    }

    unpack({ half, weights }) {
        const all = new Float32Array(Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0)).buffer);
        this.half = half;
        const stored = (phase) => all.subarray(2 * half * phase, 2 * half * (phase + 1));
        const mirrored = (phase) => stored(this.phases - phase).toReversed(); // the filters are symmetric
        this.filters = Array.from({ length: this.phases }, (_, phase) => (2 * phase > this.phases ? mirrored : stored)(phase));
    }

    design(nyquist) {
        const [edge, cutoff] = [(1 - PASSBAND) * nyquist, ((1 + PASSBAND) / 2) * nyquist];
        const width = (2 * Math.PI * edge) / this.from; // of the transition, radians per sample
        const beta = 0.1102 * (ATTENUATION_DB - 8.7);
        this.half = Math.ceil((ATTENUATION_DB - 8) / (2.285 * width) / 2);
        const rate = (2 * cutoff) / this.from;
        this.filters = Array.from({ length: this.phases }, (_, phase) => {
            const filter = Float32Array.from({ length: 2 * this.half }, (_, i) => {
                const t = i - this.half + 1 - phase / this.phases;
                const sinc = t ? Math.sin(Math.PI * rate * t) / (Math.PI * t) : rate;
                const share = t / this.half;
                return Math.abs(share) < 1 ? (sinc * bessel(beta * Math.sqrt(1 - share ** 2))) / bessel(beta) : 0;
            });
            const sum = filter.reduce((total, weight) => total + weight, 0);
            return filter.map((weight) => weight / sum);
        });
    }

    // What can be said of `block`: mono, any length. Values are clipped to -1 and 1.
    push(block) {
        this.received += block.length;
        if (this.from === this.to) return block.map((x) => Math.min(Math.max(x, -1), 1));
        this.extend(block);
        const last = this.start + this.kept.length - this.half; // the last place with samples on both sides
        return this.produce(Math.max(0, Math.ceil((last * this.to) / this.from) - this.sent));
    }

    // What the filter still holds; push nothing after it.
    flush() {
        if (this.from === this.to) return new Float32Array(0);
        this.extend(new Float32Array(2 * this.half));
        return this.produce(Math.round((this.received * this.to) / this.from) - this.sent);
    }

    extend(block) {
        const joined = new Float32Array(this.kept.length + block.length);
        joined.set(this.kept);
        joined.set(block, this.kept.length);
        this.kept = joined;
    }

    produce(count) {
        const { from, to, phases, half, filters, kept } = this;
        const output = new Float32Array(Math.max(count, 0));
        for (let n = 0; n < output.length; n++) {
            const place = ((this.sent + n) * from) / to;
            let whole = Math.floor(place);
            let phase = Math.round((place - whole) * phases);
            if (phase === phases) [whole, phase] = [whole + 1, 0];
            const filter = filters[phase];
            const first = whole - half + 1 - this.start;
            let sum = 0;
            for (let i = 0; i < filter.length; i++) sum += filter[i] * kept[first + i];
            output[n] = Math.min(Math.max(sum, -1), 1);
        }
        this.sent += output.length;
        const unused = Math.floor((this.sent * from) / to) - half + 1 - this.start;
        this.kept = kept.slice(Math.max(unused, 0));
        this.start += Math.max(unused, 0);
        return output;
    }
}
