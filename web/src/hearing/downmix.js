// One channel of several: their mean, or the strongest where they cancel each other. The arithmetic of `Mixer` in
// ser_core/audio/channels.py.

export class Downmix {
    // `settings`: the constants of ser_core/audio/channels.py by their names there.
    constructor(settings) {
        Object.assign(this, { settings, channel: null }); // that is taken from the first cancelled block on
    }

    // Mono `(n_samples,)` of a block of channels, each `(n_samples,)`, at `rate` Hz.
    mix(channels, rate) {
        if (channels.length === 1) return channels[0];
        const mono = channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
        const start = this.channel === null ? this.cancelledFrom(channels, rate) : 0;
        if (this.channel !== null) mono.set(channels[Math.min(this.channel, channels.length - 1)].subarray(start), start);
        return mono;
    }

    // Where channels begin to cancel; 0 and no channel where they do not.
    cancelledFrom(channels, rate) {
        const { CANCELLED_SHARE, CANCELLED_PIECE_S, CANCELLED_LAG_S } = this.settings;
        const lag = Math.max(Math.round(CANCELLED_LAG_S * rate), 1);
        const piece = Math.round(CANCELLED_PIECE_S * rate);
        const { length } = channels[0];
        for (let start = 0; start < Math.max(length - Math.floor(piece / 2), 1); start += piece) {
            const end = length - start >= 1.5 * piece ? start + piece : length;
            for (const back of [0, lag]) {
                const { powers, mixed } = compare(channels, start, end, back);
                const strongest = Math.max(...powers);
                if (mixed < (CANCELLED_SHARE / powers.length) ** 2 * strongest) {
                    this.channel = powers.indexOf(strongest);
                    return start;
                }
            }
        }
        return 0;
    }
}

// Energy of each channel and of their mean from `start` to `end`, without their DC offset; with `back`, of how they
// change over so many samples.
function compare(channels, start, end, back) {
    const count = channels.length;
    const parts = channels.map((channel) => {
        const part = Float64Array.from(channel.subarray(start + back, end));
        if (back) part.forEach((x, i) => (part[i] = x - channel[start + i]));
        const mean = part.reduce((sum, x) => sum + x, 0) / part.length;
        return part.map((x) => x - mean);
    });
    const powers = parts.map((part) => part.reduce((sum, x) => sum + x * x, 0));
    const mixed = parts[0].reduce((sum, _, i) => sum + (parts.reduce((all, part) => all + part[i], 0) / count) ** 2, 0);
    return { powers, mixed };
}
