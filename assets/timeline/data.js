// The timeline's data: the recording, and its segments with corrections. Times in seconds.

const UNDO_STEPS = 100;
const MIN_SEGMENT_S = 0.05;
const UNSURE_VOICE = "?";
const FULL_SCALE = 127; // maximum of an outline's values

function decodeBytes(text) {
    return Int8Array.from(atob(text), (character) => character.charCodeAt(0));
}

class Recording {
    constructor({ duration, per_second, peak, lows, highs }) {
        Object.assign(this, { duration, perSecond: per_second, peak, lows: decodeBytes(lows), highs: decodeBytes(highs) });
    }

    // The lowest and the highest sample between two times, -1 to 1, where 1 is the recording's peak.
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

    // Peak level around a time in dB relative to full scale.
    level(time) {
        const [low, high] = this.extremes(time - 0.01, time + 0.01);
        return 20 * Math.log10(Math.max(high, -low) * this.peak);
    }
}

// The segments in order of their start; those of one voice do not overlap. An edit replaces the list; undo restores
// the previous one. A segment is {start, end, label, confidence, probabilities, valence, arousal, voice, channel,
// overlap, of, checked}: `of` are the indices of the model's segments that it was made from.
class Segments {
    constructor(original, emotions, threshold, duration) {
        Object.assign(this, { original, emotions, threshold, duration, history: [] });
        this.list = original.map((segment, i) => ({ ...segment, of: [i], checked: false }));
    }

    // The index of the segment at a time, or null; of one voice where it is given.
    at(time, voice) {
        const index = this.list.findIndex((one) => one.start <= time && time < one.end && (voice === undefined || one.voice === voice));
        return index < 0 ? null : index;
    }

    // The index of the next segment (1) or the previous one (-1) of the same voice, or null.
    beside(index, by) {
        const voice = this.list[index]?.voice;
        for (let i = index + by; this.list[i]; i += by) if (this.list[i].voice === voice) return i;
        return null;
    }

    // The voices that speak, in order of appearance; the unsure one last.
    get voices() {
        const found = [...new Set(this.list.map(({ voice }) => voice ?? null))].filter((voice) => voice !== null);
        return found.sort((one, other) => (one === UNSURE_VOICE) - (other === UNSURE_VOICE));
    }

    get changed() {
        return this.history.length > 0;
    }

    get checked() {
        return this.list.filter(({ checked }) => checked).length;
    }

    replace(index, count, ...replacements) {
        this.history.push(this.list);
        if (this.history.length > UNDO_STEPS) this.history.shift();
        this.list = this.list.toSpliced(index, count, ...replacements);
    }

    undo() {
        this.list = this.history.pop() ?? this.list;
    }

    label(index, label) {
        const segment = this.list[index];
        const confidence = segment.probabilities[label] ?? Math.max(...Object.values(segment.probabilities));
        this.replace(index, 1, { ...segment, label, confidence, checked: true });
    }

    // Moves a segment's edges as far as its neighbours allow.
    move(index, start, end) {
        const segment = this.list[index];
        const first = this.list[this.beside(index, -1)]?.end ?? 0;
        const last = this.list[this.beside(index, 1)]?.start ?? this.duration;
        const from = Math.min(Math.max(start, first), (end === segment.end ? end : last) - MIN_SEGMENT_S);
        const to = Math.max(Math.min(end, last), from + MIN_SEGMENT_S);
        if (from !== segment.start || to !== segment.end) {
            this.replace(index, 1, { ...segment, start: from, end: to, checked: true });
        }
    }

    canSplit(index, time) {
        const segment = this.list[index];
        return Boolean(segment) && time >= segment.start + MIN_SEGMENT_S && time <= segment.end - MIN_SEGMENT_S;
    }

    split(index, time) {
        const segment = { ...this.list[index], checked: true };
        this.replace(index, 1, { ...segment, end: time }, { ...segment, start: time });
    }

    // Gives a segment to another voice.
    give(index, voice) {
        this.replace(index, 1, { ...this.list[index], voice, checked: true });
    }

    // Makes one voice of two.
    join(voice, other) {
        this.replace(0, this.list.length, ...this.list.map((one) => (one.voice === other ? { ...one, voice } : one)));
    }

    // Joins a segment with the next one of its voice. Probabilities are the model's mean, weighted by duration.
    merge(index) {
        const following = this.beside(index, 1);
        const [one, next] = [this.list[index], this.list[following]];
        const between = this.list.slice(index + 1, following);
        const of = [...new Set([...one.of, ...next.of])];
        const parts = of.map((i) => this.original[i]);
        const mean = summarise(parts, this.threshold);
        const expectedValue = (name) =>
            this.emotions.reduce((sum, emotion) => sum + (mean.probabilities[emotion.name] ?? 0) * emotion[name], 0);
        const label = one.label === next.label ? one.label : mean.label;
        const confidence = mean.probabilities[label] ?? mean.confidence;
        const merged = {
            ...one, ...mean, label, confidence, of, end: next.end, checked: true,
            valence: expectedValue("valence"), arousal: expectedValue("arousal"),
        };
        this.replace(index, following + 1 - index, merged, ...between);
    }
}
