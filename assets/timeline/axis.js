// The visible part of the recording.

const MIN_VIEW_S = 0.2;
const MARGIN = 0.1; // share of the view left of a span that is scrolled into view
const TICK_PX = 80; // minimum distance of ticks
const TICKS_S = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];

class Axis {
    constructor(duration) {
        Object.assign(this, { duration, from: 0, to: duration });
    }

    get length() {
        return this.to - this.from;
    }

    get whole() {
        return this.length >= this.duration - 1e-6;
    }

    x(time, width) {
        return ((time - this.from) / this.length) * width;
    }

    time(x, width) {
        return Math.min(Math.max(this.from + (x / width) * this.length, 0), this.duration);
    }

    set(from, length) {
        const visible = Math.min(Math.max(length, Math.min(MIN_VIEW_S, this.duration)), this.duration);
        this.from = Math.min(Math.max(from, 0), this.duration - visible);
        this.to = this.from + visible;
    }

    // A factor above 1 shows more detail; `time` keeps its position.
    zoom(factor, time) {
        const length = Math.min(Math.max(this.length / factor, MIN_VIEW_S), this.duration);
        this.set(time - ((time - this.from) / this.length) * length, length);
    }

    pan(seconds) {
        this.set(this.from + seconds, this.length);
    }

    // Scrolls a span into view, unless it is visible; returns whether it scrolled.
    show(start, end = start) {
        if (start >= this.from && end <= this.to) return false;
        this.set(start - MARGIN * this.length, this.length);
        return true;
    }

    ticks(width) {
        const step = TICKS_S.find((s) => (s / this.length) * width >= TICK_PX) ?? TICKS_S.at(-1);
        const times = [];
        for (let i = Math.ceil(this.from / step); i * step <= this.to; i++) times.push(i * step);
        return times.map((time) => ({ time, words: step < 1 ? clock(time, true) : clock(time) }));
    }
}
