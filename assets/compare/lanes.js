// The lanes of a comparison: waveform, agreement of the models, and the result of each.

const WAVE = [0, 60]; // top, height
const MARKS = [66, 26];
const MODELS_TOP = 98;
const MODEL = { name: 20, box: 28, gap: 8 }; // heights of a model's lane
const NAME_LEFT = 4;
const TIME_PX = 22;
const AGREEMENTS = { // a symbol, which does not depend on colour, and words
    same: { mark: "=", words: phrase("compare.same") },
    unsure: { mark: "?", words: phrase("compare.unsure") },
    different: { mark: "≠", words: phrase("compare.different") },
};
const BAR_PX = 8; // height of the mark for agreement
const DASH_PX = 4;

function layoutOf(models) {
    const laneHeight = MODEL.name + MODEL.box + MODEL.gap;
    const boxes = models.map((_, i) => [MODELS_TOP + i * laneHeight + MODEL.name, MODEL.box]);
    return { wave: WAVE, marks: MARKS, boxes, time: [MODELS_TOP + models.length * laneHeight, TIME_PX] };
}

class ComparedLanes extends Lanes {
    show(models) {
        this.models = models;
        this.layout = layoutOf(models);
        const [top, height] = this.layout.time;
        this.canvas.parentElement.style.height = `${top + height}px`;
    }

    drawBelow() {
        const { pen, width } = this;
        pen.textAlign = "left";
        pen.textBaseline = "middle";
        this.layout.boxes.forEach(([top, height], i) => {
            pen.fillStyle = this.text;
            const { name, version, state } = this.models[i];
            pen.fillText(state ? `${name}: ${state}` : `${name} ${version}`, NAME_LEFT, top - MODEL.name / 2);
            pen.strokeStyle = this.faint;
            pen.strokeRect(0.5, top + 0.5, width - 1, height - 1);
        });
    }

    drawSegment({ answers, agreement }, index, left, length) {
        this.tint(this.text, left, length);
        this.drawMark(agreement, index, left, length);
        answers.forEach((answer, i) => {
            if (!answer) return;
            const mark = differsFromMajority(answer, agreement) ? "≠ " : "";
            const name = `${mark}${nameOf(answer)}`;
            const names = [`${name} ${percent(answer.confidence)}`, name, `${mark}${emotionName(answer.label).slice(0, 3)}`];
            this.drawBox(names, this.colorOf(answer.label), left, length, this.layout.boxes[i]);
        });
    }

    // A full block if models differ, a dashed one if not all are sure, a thin bar if they agree.
    drawMark({ kind }, index, left, length) {
        const { pen } = this;
        const [top, height] = this.layout.marks;
        const markWidth = Math.max(length - 1, 1);
        const { mark } = AGREEMENTS[kind];
        pen.fillStyle = pen.strokeStyle = this.text;
        if (kind === "same") return pen.fillRect(left, top + (height - BAR_PX) / 2, markWidth, BAR_PX);
        if (kind === "unsure") {
            pen.setLineDash([DASH_PX, DASH_PX]);
            pen.strokeRect(left + 0.5, top + 0.5, Math.max(markWidth - 1, 1), height - 1);
            pen.setLineDash([]);
        } else pen.fillRect(left, top, markWidth, height);
        const visibleLeft = Math.max(left, 0);
        const ink = kind === "different" ? getComputedStyle(this.canvas).getPropertyValue("--block-background-fill") : this.text;
        this.write([`${mark} ${index + 1}`, mark], ink, visibleLeft, left + length - visibleLeft, top, height);
    }
}

// Whether a model names another emotion than the majority.
function differsFromMajority({ label }, { kind, most_say }) {
    return kind === "different" && label !== most_say && label !== UNKNOWN;
}
