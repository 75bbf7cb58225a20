// The canvases: segments over the spectrogram on one time axis, and the plane of valence and arousal.

const FRAME_MS = 50; // between two drawings
const CALM_FRAME_MS = 1000; // for those who asked for less motion
const SECOND_PX = 50; // a wider canvas shows more seconds
const MAX_VISIBLE_S = 24;
const LANE_PX = 44; // height of the segments
const AXIS_PX = 20;
const RANGE_DB = 70; // shown below the loudest of late
const QUIETEST_TOP_DB = -45; // the loudest is taken for at least this, so that a silent room stays dark
const TOP_FALLS_DB = 0.02; // a column
const TRAIL = 12; // segments in the plane
// The colours of matplotlib's "magma", as in the other spectrograms of the page.
const MAGMA = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];

// A canvas with as many dots as the screen has; returns its context and size in CSS pixels.
function prepare(canvas) {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const dots = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * dots)) canvas.width = Math.round(width * dots);
    if (canvas.height !== Math.round(height * dots)) canvas.height = Math.round(height * dots);
    const pen = canvas.getContext("2d");
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `12px ${getComputedStyle(canvas).fontFamily}`;
    return { pen, width, height };
}

function inks(canvas) {
    const style = getComputedStyle(canvas);
    return { text: style.getPropertyValue("--figure-text"), faint: style.getPropertyValue("--figure-faint") };
}

// Black or white, whichever is read better on `color` (WCAG 2.2: equal at a luminance of 0.18).
function inkOn(color) {
    const linear = [1, 3, 5].map((i) => {
        const c = parseInt(color.slice(i, i + 2), 16) / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18 ? "#000" : "#fff";
}

// The last seconds of a session.
class Strip {
    constructor(canvas, colorOf) {
        Object.assign(this, { canvas, colorOf, columns: 0, top: QUIETEST_TOP_DB });
        this.picture = document.createElement("canvas"); // the spectrogram, written round and round
        this.picture.width = Math.ceil((MAX_VISIBLE_S + 1) / COLUMN_S);
        this.picture.height = BANDS;
    }

    addColumn(levels) {
        this.top = Math.max(QUIETEST_TOP_DB, this.top - TOP_FALLS_DB, ...levels);
        const image = new ImageData(1, BANDS);
        levels.forEach((level, band) => {
            const share = Math.min(Math.max(1 + (level - this.top) / RANGE_DB, 0), 0.999) * (MAGMA.length - 1);
            const [low, high] = [MAGMA[Math.floor(share)], MAGMA[Math.floor(share) + 1]];
            const color = low.map((c, i) => c + (high[i] - c) * (share % 1));
            image.data.set([...color, 255], 4 * (BANDS - 1 - band));
        });
        this.picture.getContext("2d").putImageData(image, this.columns++ % this.picture.width, 0);
    }

    draw(now, segments) {
        const { pen, width, height } = prepare(this.canvas);
        if (!width) return; // the tab is hidden
        const visible = Math.min(MAX_VISIBLE_S, width / SECOND_PX);
        const from = Math.max(0, now - visible); // it fills from the left, then scrolls
        const x = (time) => ((time - from) / visible) * width;
        this.drawPicture(pen, from, x, LANE_PX, height - LANE_PX - AXIS_PX);
        this.drawAxis(pen, from, from + visible, x, width, height);
        for (let i = segments.length - 1; i >= 0 && segments[i].end > from; i--) {
            this.drawSegment(pen, segments[i], x(segments[i].start), x(segments[i].end));
        }
    }

    drawPicture(pen, from, x, y, height) {
        pen.fillStyle = `rgb(${MAGMA[0]})`;
        pen.fillRect(0, y, this.canvas.clientWidth, height);
        const { width } = this.picture;
        let column = Math.max(0, this.columns - width, Math.floor(from / COLUMN_S));
        while (column < this.columns) {
            const count = Math.min(width - (column % width), this.columns - column); // to the picture's edge
            const [left, right] = [x(column * COLUMN_S), x((column + count) * COLUMN_S)];
            pen.drawImage(this.picture, column % width, 0, count, BANDS, left, y, right - left, height);
            column += count;
        }
    }

    drawAxis(pen, from, to, x, width, height) {
        const { text, faint } = inks(this.canvas);
        pen.textAlign = "center";
        pen.textBaseline = "alphabetic";
        for (let second = Math.max(0, Math.ceil(from)); second <= to; second++) {
            pen.fillStyle = faint;
            pen.fillRect(x(second), height - AXIS_PX, 1, 4);
            pen.fillStyle = text;
            if (second % 5 === 0 && x(second) > 14 && x(second) < width - 14) pen.fillText(clock(second), x(second), height - 4);
        }
    }

    // Settled: a full block. So far: hatched and dashed.
    drawSegment(pen, { label, final }, left, right) {
        const color = this.colorOf(label);
        const box = [left + 0.5, 2.5, Math.max(right - left - 1, 2), LANE_PX - 8];
        const { text } = inks(this.canvas);
        pen.save();
        pen.beginPath();
        pen.roundRect(...box, 6);
        pen.fillStyle = color;
        pen.globalAlpha = final ? 1 : 0.25;
        pen.fill();
        pen.globalAlpha = 1;
        pen.strokeStyle = final ? text : color;
        pen.lineWidth = final ? 1 : 2;
        pen.setLineDash(final ? [] : [5, 4]);
        pen.stroke();
        pen.clip();
        pen.fillStyle = final ? inkOn(color) : text;
        pen.textBaseline = "middle";
        pen.textAlign = "left";
        pen.fillText(final ? label : `${label} …`, Math.max(left, 0) + 8, LANE_PX / 2 - 1);
        pen.restore();
    }
}

// Where the last segments lie in the plane, the newest the strongest.
function drawPlane(canvas, emotions, colorOf, segments) {
    const { pen, width, height } = prepare(canvas);
    if (!width) return;
    const { text, faint } = inks(canvas);
    const [x, y] = [(v) => ((v + 1.1) / 2.2) * width, (a) => ((1.1 - a) / 2.2) * height];
    pen.strokeStyle = faint;
    pen.strokeRect(0.5, 0.5, width - 1, height - 1);
    pen.beginPath();
    pen.moveTo(0, y(0)); pen.lineTo(width, y(0)); pen.moveTo(x(0), 0); pen.lineTo(x(0), height);
    pen.stroke();
    pen.fillStyle = text;
    pen.textBaseline = "middle";
    for (const { name, color, valence, arousal } of emotions) {
        // Its name stands on the right, unless that is the edge or another emotion's place.
        const left = valence > 0.3 || emotions.some((other) =>
            other.valence > valence && other.valence < valence + 0.5 && Math.abs(other.arousal - arousal) < 0.12);
        pen.textAlign = left ? "right" : "left";
        pen.fillText(name, x(valence) + (left ? -7 : 7), y(arousal));
        pen.fillStyle = color;
        pen.fillRect(x(valence) - 4, y(arousal) - 4, 8, 8);
        pen.fillStyle = text;
    }
    const trail = segments.slice(-TRAIL);
    pen.strokeStyle = text;
    trail.forEach(({ label, final, valence, arousal }, i) => {
        pen.globalAlpha = (i + 1) / trail.length;
        if (i) {
            pen.beginPath();
            pen.moveTo(x(trail[i - 1].valence), y(trail[i - 1].arousal));
            pen.lineTo(x(valence), y(arousal));
            pen.stroke();
        }
        pen.beginPath();
        pen.arc(x(valence), y(arousal), i === trail.length - 1 ? 8 : 5, 0, 2 * Math.PI);
        pen.fillStyle = colorOf(label);
        pen.globalAlpha *= final ? 1 : 0.5;
        pen.fill();
        pen.globalAlpha = (i + 1) / trail.length;
        pen.stroke();
    });
    pen.globalAlpha = 1;
}
