// What the timeline knows: the recording, and its segments with what a person corrected. Times in seconds.

const UNDO_STEPS = 100;
const SHORTEST_S = 0.05; // of a segment
const FULL_SCALE = 127; // of an outline's numbers

function decodeBytes(text) {
    return Int8Array.from(atob(text), (character) => character.charCodeAt(0));
}

class Recording {
    constructor({ duration, per_second, peak, lows, highs }) {
        Object.assign(this, { duration, perSecond: per_second, peak, lows: decodeBytes(lows), highs: decodeBytes(highs) });
    }

    // The lowest and the highest sample between two times, -1 to 1 where 1 is the recording's loudest.
    extremes(from, to) {
        const last = this.lows.length - 1;
        const first = Math.max(0, Math.min(last, Math.floor(from * this.perSecond)));
        const end = Math.max(first + 1, Math.min(last + 1, Math.ceil(to * this.perSecond)));
        let [low, high] = [FULL_SCALE, -FULL_SCALE];
        for (let i = first; i < end; i++) {
            if (this.lows[i] < low) low = this.lows[i];
            if (this.highs[i] > high) high = this.highs[i];
        }
        return [low / FULL_SCALE, high / FULL_SCALE];
    }

    // Peak level around a time in dB under full scale.
    level(time) {
        const [low, high] = this.extremes(time - 0.01, time + 0.01);
        return 20 * Math.log10(Math.max(high, -low) * this.peak);
    }
}

// The segments in order, without overlap. Each edit replaces what it changes, so that undoing is going back.
// A segment is {start, end, label, confidence, probabilities, valence, arousal, of, checked}: `of` are the numbers
// of the model's segments it was made of.
class Segments {
    constructor(found, emotions, threshold, duration) {
        Object.assign(this, { found, emotions, threshold, duration, past: [] });
        this.list = found.map((segment, i) => ({ ...segment, of: [i], checked: false }));
    }

    at(time) {
        let [low, high] = [0, this.list.length];
        while (low < high) {
            const middle = (low + high) >> 1;
            if (this.list[middle].end <= time) low = middle + 1;
            else high = middle;
        }
        return low < this.list.length && this.list[low].start <= time ? low : null;
    }

    // The first segment that ends after a time: where drawing begins.
    after(time) {
        const index = this.list.findIndex(({ end }) => end > time);
        return index < 0 ? this.list.length : index;
    }

    get changed() {
        return this.past.length > 0;
    }

    get checked() {
        return this.list.filter(({ checked }) => checked).length;
    }

    replace(index, count, ...made) {
        this.past.push(this.list);
        if (this.past.length > UNDO_STEPS) this.past.shift();
        this.list = this.list.toSpliced(index, count, ...made);
    }

    undo() {
        this.list = this.past.pop() ?? this.list;
    }

    label(index, label) {
        const segment = this.list[index];
        const confidence = segment.probabilities[label] ?? Math.max(...Object.values(segment.probabilities));
        this.replace(index, 1, { ...segment, label, confidence, checked: true });
    }

    // As near to the wanted edges as its neighbours allow.
    move(index, start, end) {
        const segment = this.list[index];
        const first = this.list[index - 1]?.end ?? 0;
        const last = this.list[index + 1]?.start ?? this.duration;
        const from = Math.min(Math.max(start, first), (end === segment.end ? end : last) - SHORTEST_S);
        const to = Math.max(Math.min(end, last), from + SHORTEST_S);
        if (from !== segment.start || to !== segment.end) {
            this.replace(index, 1, { ...segment, start: from, end: to, checked: true });
        }
    }

    canSplit(index, time) {
        const segment = this.list[index];
        return Boolean(segment) && time >= segment.start + SHORTEST_S && time <= segment.end - SHORTEST_S;
    }

    split(index, time) {
        const segment = { ...this.list[index], checked: true };
        this.replace(index, 1, { ...segment, end: time }, { ...segment, start: time });
    }

    // One segment of this and the next; it sounds like the mean of what the model found, by length.
    merge(index) {
        const [one, next] = this.list.slice(index, index + 2);
        const of = [...new Set([...one.of, ...next.of])];
        const parts = of.map((i) => this.found[i]);
        const mean = summarise(parts, this.threshold);
        const expected = (name) =>
            this.emotions.reduce((sum, emotion) => sum + (mean.probabilities[emotion.name] ?? 0) * emotion[name], 0);
        const label = one.label === next.label ? one.label : mean.label;
        const confidence = mean.probabilities[label] ?? mean.confidence;
        this.replace(index, 2, {
            ...one, ...mean, label, confidence, of, end: next.end, checked: true,
            valence: expected("valence"), arousal: expected("arousal"),
        });
    }
}
