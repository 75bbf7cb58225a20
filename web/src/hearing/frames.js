// For each frame of 30 ms: whether webrtcvad detects speech, whether there is evidence of it, and the level.
// The arithmetic of `_FrameClassifier` in ser_core/audio/vad.py; tests/web compares them frame for frame.

import { hanning, PowerSpectrum } from "./fourier.js";

const decibels = (power, floor) => 10 * Math.log10(Math.max(power, floor));

// The mean of samples.
export const mean = (samples) => samples.reduce((sum, x) => sum + x, 0) / samples.length;

// webrtcvad, compiled to WASM: one detector that adapts to noise.
class WebrtcVad {
    constructor(wasm, mode, sampleRate, frameSamples) {
        Object.assign(this, { wasm, frameSamples, handle: wasm._fvad_new(), buffer: wasm._malloc(2 * frameSamples) });
        wasm._fvad_set_mode(this.handle, mode);
        wasm._fvad_set_sample_rate(this.handle, sampleRate);
    }

    // Whether the int16 frame is speech.
    isSpeech(pcm) {
        this.wasm.HEAP16.set(pcm, this.buffer / 2);
        return this.wasm._fvad_process(this.handle, this.buffer, this.frameSamples) === 1;
    }

    free() {
        this.wasm._fvad_free(this.handle);
        this.wasm._free(this.buffer);
    }
}

export class FrameClassifier {
    // `wasm`: the instance of fvad; `settings`: the constants of ser_core/audio/vad.py by their names there.
    constructor(wasm, settings) {
        const { AGGRESSIVENESS, SAMPLE_RATE, FRAME_SAMPLES, BANDS, BAND_BINS, FIRST_BIN, EVIDENCE_WINDOW } = settings;
        this.settings = settings;
        this.webrtc = new WebrtcVad(wasm, AGGRESSIVENESS, SAMPLE_RATE, FRAME_SAMPLES);
        this.count = 0; // frames processed
        this.peakDb = -Infinity; // recent peak, plus the release since the first frame
        this.offset = null; // mean of the recent samples
        this.centred = new Float64Array(FRAME_SAMPLES); // the frame without it
        this.window = hanning(2 * FRAME_SAMPLES);
        this.pair = new Float64Array(2 * FRAME_SAMPLES); // the last frame and this one
        this.windowed = new Float64Array(2 * FRAME_SAMPLES);
        this.spectrum = new PowerSpectrum(2 * FRAME_SAMPLES);
        this.pcm = new Int16Array(FRAME_SAMPLES);
        this.bands = new Float64Array(BANDS);
        this.lastBands = null; // band powers of the last frame, dB
        this.marks = new Array(EVIDENCE_WINDOW).fill(0); // 1 if peaky and moving, last frames
        this.bins = { first: FIRST_BIN, each: BAND_BINS };
    }

    // {voiced, evident, level in dB} of a frame of FRAME_SAMPLES samples.
    push(samples) {
        const { QUIET_DB, POWER_FLOOR } = this.settings;
        const frame = this.withoutOffset(samples);
        let [peak, power] = [0, 0];
        for (const x of frame) {
            peak = Math.max(peak, Math.abs(x));
            power += x * x;
        }
        const loudest = this.amplify(frame, peak);
        const voiced = this.webrtc.isSpeech(this.pcm); // every frame: it adapts to noise
        return {
            voiced: voiced && loudest > 32767 * 10 ** (QUIET_DB / 20),
            evident: this.evidence(frame),
            level: decibels(power / frame.length, POWER_FLOOR),
        };
    }

    // The frame without the DC offset that was found so far.
    withoutOffset(frame) {
        const { OFFSET_MIN, OFFSET_FRAMES } = this.settings;
        const average = mean(frame);
        this.offset = this.offset === null ? average : this.offset + (average - this.offset) / OFFSET_FRAMES;
        this.centred.set(frame);
        if (Math.abs(this.offset) >= OFFSET_MIN) for (let i = 0; i < frame.length; i++) this.centred[i] -= this.offset;
        return this.centred;
    }

    // Fills `pcm` with the frame, the recent peak brought to GAIN_TARGET_DB; returns the largest magnitude.
    amplify(frame, peak) {
        const { GAIN_RELEASE_DB, GAIN_TARGET_DB, GAIN_MAX_DB, POWER_FLOOR } = this.settings;
        const release = GAIN_RELEASE_DB * this.count++;
        this.peakDb = Math.max(decibels(peak ** 2, POWER_FLOOR) + release, this.peakDb);
        const gain = Math.min(GAIN_TARGET_DB - (this.peakDb - release), GAIN_MAX_DB);
        const scale = 32767 * 10 ** (gain / 20);
        let loudest = 0;
        for (let i = 0; i < frame.length; i++) {
            const value = Math.trunc(Math.min(Math.max(frame[i] * scale, -32768), 32767));
            this.pcm[i] = value;
            loudest = Math.max(loudest, Math.abs(value));
        }
        return loudest;
    }

    // Whether EVIDENCE_FRAMES of the last EVIDENCE_WINDOW frames are peaky and moving.
    evidence(frame) {
        const { BANDS, VOICE_BANDS, RANGE_DB, POWER_FLOOR, PEAKY_NATS, MOVING_DB, EVIDENCE_FRAMES } = this.settings;
        const { pair, windowed, window, bands, bins } = this;
        pair.copyWithin(0, frame.length);
        pair.set(frame, frame.length);
        for (let i = 0; i < pair.length; i++) windowed[i] = pair[i] * window[i];
        const power = this.spectrum.of(windowed);
        let peaky = 0;
        for (let band = 0; band < BANDS; band++) {
            let [sum, logs] = [0, 0];
            for (let i = bins.first + band * bins.each; i < bins.first + (band + 1) * bins.each; i++) {
                sum += power[i] + POWER_FLOOR;
                if (band < VOICE_BANDS) logs += Math.log(power[i] + POWER_FLOOR);
            }
            const mean = sum / bins.each;
            if (band < VOICE_BANDS) peaky += Math.log(mean) - logs / bins.each;
            bands[band] = decibels(mean, POWER_FLOOR);
        }
        const top = Math.max(...bands);
        let moving = 0;
        for (let band = 0; band < BANDS; band++) {
            bands[band] = Math.max(bands[band], top - RANGE_DB);
            moving += Math.abs(bands[band] - (this.lastBands ? this.lastBands[band] : bands[band]));
        }
        this.lastBands = Float64Array.from(bands);
        this.marks.shift();
        this.marks.push(peaky / VOICE_BANDS > PEAKY_NATS && moving / BANDS > MOVING_DB ? 1 : 0);
        return this.marks.reduce((sum, mark) => sum + mark, 0) >= EVIDENCE_FRAMES;
    }

    free() {
        this.webrtc.free();
    }
}
