// The technical quality of a recording, as `QualityMeter` in ser_core/audio/quality.py.

import { hanning, PowerSpectrum } from "./fourier.js";

const round = (value, digits) => Number(value.toFixed(digits));

export class QualityMeter {
    // `settings`: the constants of ser_core/audio/quality.py by their names there, and WARNINGS by fault.
    constructor(settings) {
        const { FRAME_SAMPLES, FLOOR_DBFS, STEP_DB } = settings;
        const levels = Math.round(-FLOOR_DBFS / STEP_DB) + 1;
        Object.assign(this, { settings, peak: 0, clipped: 0, filled: 0 });
        this.frame = new Float32Array(FRAME_SAMPLES); // the incomplete frame, `filled` samples of it
        this.frames = new Float64Array(levels); // number of frames at each level
        this.power = Array.from({ length: levels }, () => null); // spectra at each level, sums
        this.window = hanning(FRAME_SAMPLES);
        this.windowed = new Float64Array(FRAME_SAMPLES);
        this.spectrum = new PowerSpectrum(FRAME_SAMPLES);
    }

    push(block) {
        const { frame } = this;
        for (const x of block) {
            const magnitude = Math.abs(x);
            if (magnitude > this.peak) this.peak = magnitude;
            frame[this.filled++] = x;
            if (this.filled === frame.length) {
                this.add(frame);
                this.filled = 0;
            }
        }
    }

    add(frame) {
        const { FLOOR_DBFS, STEP_DB } = this.settings;
        this.clipped += this.countClipped(frame);
        const mean = frame.reduce((sum, x) => sum + x, 0) / frame.length;
        let power = 0;
        for (let i = 0; i < frame.length; i++) {
            const x = frame[i] - mean; // a DC offset is no sound
            power += x * x;
            this.windowed[i] = x * this.window[i];
        }
        const row = Math.round((this.decibels(power / frame.length) - FLOOR_DBFS) / STEP_DB);
        this.frames[row]++;
        this.power[row] ??= new Float64Array(frame.length / 2 + 1);
        const [sums, spectrum] = [this.power[row], this.spectrum.of(this.windowed)];
        for (let i = 0; i < sums.length; i++) sums[i] += spectrum[i];
    }

    // Samples of the frame that lie in a run of at least CLIPPED_RUN at full scale.
    countClipped(frame) {
        const { FULL_SCALE, CLIPPED_RUN } = this.settings;
        let [clipped, run] = [0, 0];
        for (let i = 0; i <= frame.length; i++) {
            if (Math.abs(frame[i]) >= FULL_SCALE) run++; // NaN past the end
            else {
                if (run >= CLIPPED_RUN) clipped += run;
                run = 0;
            }
        }
        return clipped;
    }

    report() {
        const total = this.frames.reduce((sum, n) => sum + n, 0);
        const peak = this.decibels(this.peak ** 2);
        const clipped = total ? this.clipped / (total * this.settings.FRAME_SAMPLES) : 0;
        const noise = total ? this.signalToNoise(total) : 0;
        const bandwidth = total ? this.bandwidth(total) : 0;
        return {
            peak_dbfs: round(peak, 1),
            clipped: round(clipped, 5),
            snr_db: round(noise, 1),
            bandwidth_hz: bandwidth,
            warnings: this.warnings(peak, clipped, noise, bandwidth),
        };
    }

    // Row of the tables: the level that `percentile` percent of the frames do not exceed.
    level(percentile, total) {
        let [row, count] = [0, this.frames[0]];
        while (count < (percentile / 100) * total) count += this.frames[++row];
        return row;
    }

    signalToNoise(total) {
        const { SPEECH_PERCENTILE, NOISE_PERCENTILE, STEP_DB, MAX_SNR_DB } = this.settings;
        const gap = (this.level(SPEECH_PERCENTILE, total) - this.level(NOISE_PERCENTILE, total)) * STEP_DB;
        // The loud frames hold speech and noise: subtract the noise.
        return Math.min(this.decibels(10 ** (gap / 10) - 1, 0), MAX_SNR_DB);
    }

    bandwidth(total) {
        const { SPEECH_PERCENTILE, LOUD_RANGE_DB, STEP_DB, AUDIBLE_RANGE_DB, FRAME_SAMPLES, SAMPLE_RATE } = this.settings;
        const quietest = this.level(SPEECH_PERCENTILE, total) - Math.round(LOUD_RANGE_DB / STEP_DB);
        const power = new Float64Array(FRAME_SAMPLES / 2 + 1);
        for (const sums of this.power.slice(Math.max(quietest, 1))) sums?.forEach((value, i) => (power[i] += value));
        const least = Math.max(...power) * 10 ** (-AUDIBLE_RANGE_DB / 10);
        const last = power.findLastIndex((value) => value > least);
        return last < 0 ? 0 : Math.floor((last * SAMPLE_RATE) / FRAME_SAMPLES);
    }

    warnings(peak, clipped, noise, bandwidth) {
        const { FLOOR_DBFS, QUIET_DBFS, CLIPPED_SHARE, NOISY_DB, TELEPHONE_HZ, WARNINGS } = this.settings;
        if (peak <= FLOOR_DBFS) return [WARNINGS.silent];
        return [
            peak < QUIET_DBFS && WARNINGS.quiet,
            clipped >= CLIPPED_SHARE && WARNINGS.clipped,
            noise < NOISY_DB && WARNINGS.noisy,
            bandwidth < TELEPHONE_HZ && WARNINGS.telephone,
        ].filter(Boolean);
    }

    decibels(power, floor = this.settings.FLOOR_DBFS) {
        return 10 * Math.log10(Math.max(power, 10 ** (floor / 10)));
    }
}
