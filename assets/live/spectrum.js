// Log-mel spectrum of audio as it arrives, up to 8 kHz, the limit of the model's input.

const BANDS = 64;
const COLUMN_S = 0.02; // interval between columns
const WINDOW_S = 0.025;
const TOP_HZ = 8000;

const mel = (hz) => 2595 * Math.log10(1 + hz / 700);
const hertz = (m) => 700 * (10 ** (m / 2595) - 1);

class LogMel {
    constructor(sampleRate) {
        this.window = Math.round(WINDOW_S * sampleRate);
        this.hop = Math.round(COLUMN_S * sampleRate);
        this.size = 2 ** Math.ceil(Math.log2(this.window));
        this.hann = Float32Array.from({ length: this.window }, (_, i) =>
            0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / this.window));
        this.filters = melFilters(this.size, sampleRate);
        this.rest = new Float32Array(0);
        [this.real, this.imaginary] = [new Float32Array(this.size), new Float32Array(this.size)]; // of each column in turn
    }

    // One column for each hop that `samples` complete: BANDS powers in dB relative to full scale.
    push(samples) {
        const sound = new Float32Array(this.rest.length + samples.length);
        sound.set(this.rest);
        sound.set(samples, this.rest.length);
        const columns = [];
        let at = 0;
        for (; at + this.window <= sound.length; at += this.hop) {
            columns.push(this.column(sound.subarray(at, at + this.window)));
        }
        this.rest = sound.slice(at);
        return columns;
    }

    column(sound) {
        const { real, imaginary } = this;
        real.fill(0, sound.length);
        imaginary.fill(0);
        sound.forEach((x, i) => (real[i] = x * this.hann[i]));
        transform(real, imaginary);
        const full = (this.window / 4) ** 2; // power of a full-scale sine in its bin
        return this.filters.map(({ first, weights }) => {
            let power = 0;
            weights.forEach((weight, i) => {
                const bin = first + i;
                power += weight * (real[bin] ** 2 + imaginary[bin] ** 2);
            });
            return 10 * Math.log10(power / full + 1e-12);
        });
    }
}

// Triangular filters, evenly spaced in mel: the first FFT bin of each, and the weights from there.
function melFilters(size, sampleRate) {
    const top = mel(Math.min(TOP_HZ, sampleRate / 2));
    const edge = (i) => (hertz((top * i) / (BANDS + 1)) * size) / sampleRate; // in bins
    return Array.from({ length: BANDS }, (_, band) => {
        const [low, middle, high] = [edge(band), edge(band + 1), edge(band + 2)];
        const first = Math.ceil(low);
        const weights = [];
        for (let bin = first; bin < high; bin++) {
            weights.push(bin < middle ? (bin - low) / (middle - low) : (high - bin) / (high - middle));
        }
        // A triangle that lies between two bins gets the nearest one.
        return weights.length ? { first, weights } : { first: Math.round(middle), weights: [1] };
    });
}

// Fourier transform in place (Cooley and Tukey 1965); the length is a power of two.
function transform(real, imaginary) {
    const n = real.length;
    for (let i = 1, j = 0; i < n; i++) {
        let bit = n >> 1;
        for (; j & bit; bit >>= 1) j ^= bit;
        j ^= bit;
        if (i < j) {
            [real[i], real[j]] = [real[j], real[i]];
            [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
        }
    }
    for (let length = 2; length <= n; length *= 2) {
        const half = length / 2;
        for (let k = 0; k < half; k++) {
            const [c, s] = [Math.cos((2 * Math.PI * k) / length), -Math.sin((2 * Math.PI * k) / length)];
            for (let i = k; i < n; i += length) {
                const re = real[i + half] * c - imaginary[i + half] * s;
                const im = real[i + half] * s + imaginary[i + half] * c;
                [real[i + half], imaginary[i + half]] = [real[i] - re, imaginary[i] - im];
                [real[i], imaginary[i]] = [real[i] + re, imaginary[i] + im];
            }
        }
    }
}
