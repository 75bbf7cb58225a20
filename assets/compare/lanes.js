// The lanes of a comparison: waveform, how far the models agree, and what each of them says.

const WAVE = [0, 60]; // top, height
const MARKS = [66, 26];
const MODELS_TOP = 98;
const MODEL = { name: 20, box: 28, gap: 8 }; // heights of a model's lane
const NAME_LEFT = 4;
const TIME_PX = 22;
const AGREEMENTS = { // a mark that needs no colour, and words
    same: { mark: "=", words: phrase("compare.same") },
    unsure: { mark: "?", words: phrase("compare.unsure") },
    different: { mark: "≠", words: phrase("compare.different") },
};
const BAR_PX = 8; // height of the mark where they agree
const DASH_PX = 4;

function layoutOf(models) {
    const each = MODEL.name + MODEL.box + MODEL.gap;
    const boxes = models.map((_, i) => [MODELS_TOP + i * each + MODEL.name, MODEL.box]);
    return { wave: WAVE, marks: MARKS, boxes, time: [MODELS_TOP + models.length * each, TIME_PX] };
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
            const mark = apart(answer, agreement) ? "≠ " : "";
            const name = `${mark}${nameOf(answer)}`;
            const names = [`${name} ${percent(answer.confidence)}`, name, `${mark}${emotionName(answer.label).slice(0, 3)}`];
            this.drawBox(names, this.colorOf(answer.label), left, length, this.layout.boxes[i]);
        });
    }

    // Full where they differ, dashed where not all are sure, a thin bar where they agree.
    drawMark({ kind }, index, left, length) {
        const { pen } = this;
        const [top, height] = this.layout.marks;
        const wide = Math.max(length - 1, 1);
        const { mark } = AGREEMENTS[kind];
        pen.fillStyle = pen.strokeStyle = this.text;
        if (kind === "same") return pen.fillRect(left, top + (height - BAR_PX) / 2, wide, BAR_PX);
        if (kind === "unsure") {
            pen.setLineDash([DASH_PX, DASH_PX]);
            pen.strokeRect(left + 0.5, top + 0.5, Math.max(wide - 1, 1), height - 1);
            pen.setLineDash([]);
        } else pen.fillRect(left, top, wide, height);
        const seen = Math.max(left, 0);
        const ink = kind === "different" ? getComputedStyle(this.canvas).getPropertyValue("--block-background-fill") : this.text;
        this.write([`${mark} ${index + 1}`, mark], ink, seen, left + length - seen, top, height);
    }
}

// Whether a model names another emotion than most of them.
function apart({ label }, { kind, most_say }) {
    return kind === "different" && label !== most_say && label !== UNKNOWN;
}
