// The lanes on one canvas: segments, waveform, probabilities, spectrogram, time. A second canvas over it has what
// moves: the playback position, the pointer, and the frame of the chosen segment.

const LANES = { segments: [0, 28], wave: [32, 84], shares: [120, 104], mel: [228, 128], time: [356, 22] }; // top, height
const NAME_PX = 13; // height of a line of text
const SILENT = "#000004"; // the spectrogram's colour of silence
const ROW = { most: 24, least: 9, all: 216, gap: 2 }; // height of a voice's lane of segments
const DIMMED = 0.22; // opacity of segments of voices that are not shown
const MIN_SHARE_PX = 0.3; // thinner parts of the probability lane are not drawn
const TINT = 0.24; // opacity of a segment's colour behind the waveform
const EDGE_PX = 6; // distance within which the pointer takes an edge

class Lanes {
    constructor(canvas, emotions, colorOf) {
        Object.assign(this, { canvas, emotions, colorOf, layout: LANES, picture: null, explanation: null });
        Object.assign(this, { voices: new Map(), apart: false, only: null, nameOfVoice: (voice) => voice });
    }

    // A lane of segments for each of `voices`, their ids. `apart`: they may speak at the same time.
    arrange(voices, apart) {
        const height = voices.length > 1 ? Math.max(ROW.least, Math.min(ROW.most, Math.floor(ROW.all / voices.length))) : LANES.segments[1];
        const tall = Math.max(voices.length, 1) * (height + ROW.gap) - ROW.gap;
        const shift = tall - LANES.segments[1];
        const below = Object.entries(LANES).map(([name, [top, high]]) => [name, [top + shift, high]]);
        this.layout = { ...Object.fromEntries(below), segments: [0, tall] };
        this.voices = new Map(voices.length > 1 ? voices.map((voice, row) => [voice, [row * (height + ROW.gap), height]]) : []);
        this.apart = apart && voices.length > 1;
        const [top, high] = this.layout.time;
        this.canvas.parentElement.style.height = `${top + high}px`;
    }

    // The voice whose lane is at a height; undefined where there is one lane for all.
    voiceAt(y) {
        return [...this.voices].find(([, [top, height]]) => y >= top && y < top + height + ROW.gap)?.[0];
    }

    draw(recording, segments, axis) {
        const { pen, width } = prepare(this.canvas);
        if (!width) return; // the tab is hidden
        Object.assign(this, { pen, width, axis, ...inks(this.canvas) });
        this.ink = getComputedStyle(this.canvas).getPropertyValue("--figure-wave");
        this.drawBelow();
        const { list } = segments;
        for (let i = 0; i < list.length; i++) {
            if (list[i].end <= axis.from || list[i].start >= axis.to) continue;
            const left = axis.x(list[i].start, width);
            this.drawSegment(list[i], i, left, Math.max(axis.x(list[i].end, width) - left, 1));
        }
        this.drawWave(recording);
        this.drawTimes();
        this.drawVoices();
    }

    // The names of the voices, before their lanes.
    drawVoices() {
        const { pen } = this;
        const paper = getComputedStyle(this.canvas).getPropertyValue("--block-background-fill");
        for (const [voice, [top, height]] of this.voices) {
            if (height < NAME_PX) continue;
            const name = this.nameOfVoice(voice).slice(0, 12);
            pen.globalAlpha = 0.85;
            pen.fillStyle = paper;
            pen.fillRect(0, top, pen.measureText(name).width + 8, height);
            pen.globalAlpha = 1;
            this.write([name], this.text, 0, this.width, top, height);
        }
    }

    // Draws what is below the segments.
    drawBelow() {
        this.drawMel();
    }

    drawSegment(segment, index, left, length) {
        const mark = `${segment.overlap ? " ⁂" : ""}${segment.checked ? " ✓" : ""}`;
        const color = this.colorOf(segment.label);
        const shown = this.only === null || segment.voice === this.only;
        const names = [`${index + 1} ${nameOf(segment)}${mark}`, `${index + 1}${mark}`];
        this.pen.globalAlpha = shown ? 1 : DIMMED;
        this.drawBox(names, color, left, length, this.voices.get(segment.voice) ?? this.layout.segments);
        this.pen.globalAlpha = 1;
        if (!shown) return;
        this.tint(color, left, length);
        this.drawShares(segment.probabilities, left, length, this.sharesOf(segment.voice));
    }

    // Where a voice's probabilities are drawn: in a part of the lane where others may speak at the same time.
    sharesOf(voice) {
        const [top, height] = this.layout.shares;
        const row = [...this.voices.keys()].indexOf(voice);
        if (!this.apart || this.only !== null || row < 0) return [top, height];
        const part = height / this.voices.size;
        return [top + row * part, part - 1];
    }

    // Colours the background of a segment's part of the waveform.
    tint(color, left, length) {
        const [top, height] = this.layout.wave;
        this.pen.fillStyle = color;
        this.pen.globalAlpha = TINT;
        this.pen.fillRect(left, top, length, height);
        this.pen.globalAlpha = 1;
    }

    // A segment in a lane, with the first of `names` that fits into it.
    drawBox(names, color, left, length, [top, height]) {
        this.pen.fillStyle = color;
        this.pen.fillRect(left, top, Math.max(length - 1, 1), height);
        const visibleLeft = Math.max(left, 0);
        this.name(names, color, visibleLeft, left + length - visibleLeft, top, height);
    }

    // Stacked areas, one per emotion; the height is the probability.
    drawShares(probabilities, left, length, [top, height]) {
        const { pen } = this;
        let y = top + height;
        for (const { name, color } of this.emotions) {
            const part = (probabilities[name] ?? 0) * height;
            y -= part;
            if (part < MIN_SHARE_PX) continue;
            pen.fillStyle = color;
            pen.fillRect(left, y, Math.max(length - 1, 1), part);
            const visibleLeft = Math.max(left, 0);
            if (part >= NAME_PX) this.name([emotionName(name)], color, visibleLeft, left + length - visibleLeft, y, part);
        }
    }

    name(names, color, ...box) {
        this.write(names, inkOn(color), ...box);
    }

    // Writes the first of `names` that fits into a box.
    write(names, ink, left, length, top, height) {
        if (length < 10) return;
        const { pen } = this;
        const fittingName = names.find((name) => pen.measureText(name).width <= length - 6);
        if (!fittingName) return;
        pen.fillStyle = ink;
        pen.textAlign = "left";
        pen.textBaseline = "middle";
        pen.fillText(fittingName, left + 4, top + height / 2);
    }

    drawWave(recording) {
        const { pen, axis, width } = this;
        const [top, height] = this.layout.wave;
        const middle = top + height / 2;
        pen.fillStyle = this.ink;
        const secondsPerPixel = axis.length / width;
        for (let x = 0; x < width; x++) {
            const from = axis.from + x * secondsPerPixel;
            const [low, high] = recording.extremes(from, from + secondsPerPixel);
            const y = middle - (high * height) / 2;
            pen.fillRect(x, y, 1, Math.max(((high - low) * height) / 2, 1));
        }
    }

    drawMel() {
        const { pen, axis, width } = this;
        const [top, height] = this.layout.mel;
        pen.fillStyle = SILENT;
        pen.fillRect(0, top, width, height);
        if (this.picture) {
            const scale = this.picture.width / axis.duration; // columns a second
            pen.drawImage(this.picture, axis.from * scale, 0, axis.length * scale, this.picture.height, 0, top, width, height);
        }
        if (this.explanation) {
            const left = axis.x(this.explanation.start, width);
            const right = axis.x(this.explanation.end, width);
            pen.save();
            pen.beginPath();
            pen.rect(0, top, width, height);
            pen.clip();
            pen.drawImage(this.explanation.picture, left, top, right - left, height);
            pen.restore();
        }
        if (!this.picture) {
            pen.fillStyle = "#fff";
            pen.textAlign = "center";
            pen.textBaseline = "middle";
            pen.fillText(phrase("timeline.drawing"), width / 2, top + height / 2);
        }
    }

    drawTimes() {
        const { pen, axis, width } = this;
        const [top, height] = this.layout.time;
        pen.textAlign = "center";
        pen.textBaseline = "alphabetic";
        for (const { time, words } of axis.ticks(width)) {
            const x = axis.x(time, width);
            pen.fillStyle = this.faint;
            pen.fillRect(x, top, 1, 5);
            pen.fillStyle = this.text;
            const half = pen.measureText(words).width / 2;
            if (x >= half && x <= width - half) pen.fillText(words, x, top + height - 4);
        }
    }
}

// Draws what moves over the lanes. The chosen segment has handles if its edges are `movable`.
function drawCursors(canvas, layout, axis, { now, pointerTime, chosen, movable }) {
    const { pen, width, height } = prepare(canvas);
    if (!width) return;
    const { text } = inks(canvas);
    const accent = getComputedStyle(canvas).getPropertyValue("--color-accent");
    const tall = height - layout.time[1];
    if (chosen) {
        const left = axis.x(chosen.start, width);
        const right = axis.x(chosen.end, width);
        pen.strokeStyle = text;
        pen.lineWidth = 2;
        pen.strokeRect(left, 1, Math.max(right - left, 2), tall - 2);
        pen.fillStyle = text;
        const [top, high] = layout.wave;
        for (const x of movable ? [left, right] : []) pen.fillRect(x - 2.5, top + 24, 5, high - 48);
    }
    if (pointerTime !== null) {
        pen.fillStyle = text;
        pen.globalAlpha = 0.6;
        pen.fillRect(axis.x(pointerTime, width), 0, 1, tall);
        pen.globalAlpha = 1;
    }
    const x = axis.x(now, width);
    pen.fillStyle = "#fff"; // visible on dark and light
    pen.fillRect(x - 2, 0, 4, tall);
    pen.fillStyle = accent;
    pen.fillRect(x - 1, 0, 2, tall);
}

// The whole recording, drawn once, with the visible part marked.
class Overview {
    constructor(canvas, colorOf) {
        Object.assign(this, { canvas, colorOf, whole: document.createElement("canvas"), key: [] });
    }

    draw(recording, segments, axis) {
        const { pen, width, height } = prepare(this.canvas);
        if (!width) return;
        const style = getComputedStyle(this.canvas);
        const key = [recording, segments.list, this.canvas.width, style.getPropertyValue("--figure-wave")];
        if (key.some((part, i) => part !== this.key[i])) this.drawWhole(recording, segments, width, height, key.at(-1));
        this.key = key;
        pen.drawImage(this.whole, 0, 0, width, height);
        const left = (axis.from / recording.duration) * width;
        const right = (axis.to / recording.duration) * width;
        pen.fillStyle = style.getPropertyValue("--block-background-fill");
        pen.globalAlpha = 0.7;
        pen.fillRect(0, 0, left, height);
        pen.fillRect(right, 0, width - right, height);
        pen.globalAlpha = 1;
        pen.strokeStyle = style.getPropertyValue("--color-accent");
        pen.lineWidth = 2;
        pen.strokeRect(left + 1, 1, Math.max(right - left - 2, 2), height - 2);
    }

    drawWhole(recording, segments, width, height, ink) {
        Object.assign(this.whole, { width: this.canvas.width, height: this.canvas.height }); // empties it
        const pen = this.whole.getContext("2d");
        pen.scale(this.canvas.width / width, this.canvas.height / height);
        const secondsPerPixel = recording.duration / width;
        for (const { start, end, label } of segments.list) {
            pen.fillStyle = this.colorOf(label);
            pen.fillRect(start / secondsPerPixel, 0, Math.max((end - start) / secondsPerPixel, 1), 5);
        }
        pen.fillStyle = ink;
        const [middle, tall] = [(height + 6) / 2, height - 8];
        for (let x = 0; x < width; x++) {
            const [low, high] = recording.extremes(x * secondsPerPixel, (x + 1) * secondsPerPixel);
            pen.fillRect(x, middle - (high * tall) / 2, 1, Math.max(((high - low) * tall) / 2, 1));
        }
    }
}
