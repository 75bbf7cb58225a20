// Power spectra of real frames of any even length without large prime factors (mixed radix, Cooley and Tukey 1965).

function primeFactors(n) {
    const factors = [];
    for (let p = 2; n > 1; n % p ? p++ : ((n /= p), factors.push(p)));
    return factors;
}

// Computes |DFT|² of frames of `size` samples: a complex transform of half the size, then separated.
export class PowerSpectrum {
    constructor(size) {
        const half = size / 2;
        Object.assign(this, { size, half, factors: primeFactors(half).reverse() });
        this.cos = Float64Array.from({ length: size }, (_, i) => Math.cos((2 * Math.PI * i) / size));
        this.sin = Float64Array.from({ length: size }, (_, i) => -Math.sin((2 * Math.PI * i) / size));
        this.re = new Float64Array(half);
        this.im = new Float64Array(half);
        const largest = Math.max(...this.factors);
        this.partRe = new Float64Array(largest);
        this.partIm = new Float64Array(largest);
        this.power = new Float64Array(half + 1);
    }

    // The power `(size / 2 + 1,)` of a frame; the array is used again by the next call.
    of(frame) {
        const { half, re, im, cos, sin, power } = this;
        this.transform(frame, 0, 1, half, 0, 0);
        for (let k = 0; k <= half; k++) {
            const [a, b] = [k % half, (half - k) % half];
            const [evenRe, evenIm] = [(re[a] + re[b]) / 2, (im[a] - im[b]) / 2];
            const [oddRe, oddIm] = [(im[a] + im[b]) / 2, (re[b] - re[a]) / 2];
            const real = evenRe + cos[k] * oddRe - sin[k] * oddIm;
            const imaginary = evenIm + cos[k] * oddIm + sin[k] * oddRe;
            power[k] = real * real + imaginary * imaginary;
        }
        return power;
    }

    // DFT of every `stride`-th pair of samples from pair `from`, n of them, into re and im from `to`.
    transform(frame, from, stride, n, to, depth) {
        const { re, im } = this;
        if (n === 1) {
            re[to] = frame[2 * from];
            im[to] = frame[2 * from + 1];
            return;
        }
        const p = this.factors[depth];
        const m = n / p;
        for (let r = 0; r < p; r++) this.transform(frame, from + r * stride, stride * p, m, to + r * m, depth + 1);
        const { cos, sin, size, partRe, partIm } = this;
        const step = size / n;
        for (let k = to; k < to + m; k++) {
            for (let r = 0; r < p; r++) {
                const turn = r * (k - to) * step;
                const [x, y] = [re[k + r * m], im[k + r * m]];
                partRe[r] = x * cos[turn] - y * sin[turn];
                partIm[r] = x * sin[turn] + y * cos[turn];
            }
            if (p === 2) {
                re[k] = partRe[0] + partRe[1];
                im[k] = partIm[0] + partIm[1];
                re[k + m] = partRe[0] - partRe[1];
                im[k + m] = partIm[0] - partIm[1];
                continue;
            }
            for (let q = 0; q < p; q++) {
                let [x, y] = [partRe[0], partIm[0]];
                for (let r = 1; r < p; r++) {
                    const turn = ((q * r) % p) * (size / p);
                    x += partRe[r] * cos[turn] - partIm[r] * sin[turn];
                    y += partRe[r] * sin[turn] + partIm[r] * cos[turn];
                }
                re[k + q * m] = x;
                im[k + q * m] = y;
            }
        }
    }
}

// numpy's `hanning`.
export const hanning = (n) =>
    Float64Array.from({ length: n }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (n - 1)));
