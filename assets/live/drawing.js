// The last seconds: segments over the spectrogram on one time axis.

const FRAME_MS = 50; // interval between drawings
const CALM_FRAME_MS = 1000; // the same with prefers-reduced-motion
const SECOND_PX = 50; // a wider canvas shows more seconds
const MAX_VISIBLE_S = 24;
const LANE_PX = 44; // height of the segments
const AXIS_PX = 20;
const RANGE_DB = 70; // dynamic range below the recent maximum
const QUIETEST_TOP_DB = -45; // minimum of that maximum, so that a silent room stays dark
const TOP_FALL_DB = 0.02; // decrease of that maximum per column
// The colours of matplotlib's "magma", as in the other spectrograms of the page.
const MAGMA = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];

// The last seconds of a session.
class Strip {
    constructor(canvas, colorOf) {
        Object.assign(this, { canvas, colorOf, columns: 0, top: QUIETEST_TOP_DB });
        this.picture = document.createElement("canvas"); // the spectrogram as a ring buffer of columns
        this.picture.width = Math.ceil((MAX_VISIBLE_S + 1) / COLUMN_S);
        this.picture.height = BANDS;
    }

    addColumn(levels) {
        this.top = Math.max(QUIETEST_TOP_DB, this.top - TOP_FALL_DB, ...levels);
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
        const from = Math.max(0, now - visible); // fills from the left, then scrolls
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
            const count = Math.min(width - (column % width), this.columns - column); // up to the end of the ring buffer
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

    // A final segment is a solid block, a provisional one transparent with a dashed border.
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
        const name = emotionName(label);
        pen.fillText(final ? name : `${name} …`, Math.max(left, 0) + 8, LANE_PX / 2 - 1);
        pen.restore();
    }
}
