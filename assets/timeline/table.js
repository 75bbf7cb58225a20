// The segments as a table, with the lanes' data as text. Rows are chosen by mouse or arrow keys.

class Table {
    // `describe(segment)`: the row as `words` for screen readers, and its `cells` after the number.
    // `name`: the name of the radio buttons, which must differ between the tables of the page.
    constructor(body, name, describe) {
        Object.assign(this, { body, name, describe, rowOf: new WeakMap(), chosen: null });
    }

    // A segment that has not changed keeps its row; only its number may change.
    show(whole, segments) {
        const rows = [whole, ...segments].map((segment) => {
            const row = this.rowOf.get(segment) ?? this.row(segment);
            this.rowOf.set(segment, row);
            return row;
        });
        const current = new Set(rows);
        [...this.body.children].forEach((row) => current.has(row) || row.remove());
        rows.forEach((row, number) => {
            if (row.dataset.number !== String(number)) this.number(row, number);
            if (this.body.children[number] !== row) this.body.insertBefore(row, this.body.children[number] ?? null);
        });
    }

    number(row, number) {
        const radio = row.querySelector("input");
        row.dataset.number = number;
        radio.value = number || "";
        radio.setAttribute("aria-label", `${number ? phrase("segments.one", { number }) : phrase("segments.whole")}, ${row.dataset.words}`);
        row.querySelector("label span").textContent = number || phrase("segments.all");
    }

    // `chosen`: a segment's index, or null for the whole recording.
    choose(chosen) {
        this.chosen?.classList.remove("chosen"); // not tr:has(:checked), which restyles every row
        this.chosen = this.body.rows[chosen === null ? 0 : chosen + 1];
        this.chosen.classList.add("chosen");
        this.chosen.querySelector("input").checked = true;
        const box = this.body.closest(".segments"); // not scrollIntoView, which would scroll the page too
        const [row, frame] = [this.chosen.getBoundingClientRect(), box.getBoundingClientRect()];
        if (row.top < frame.top || row.bottom > frame.bottom) box.scrollTop += row.top - frame.top - frame.height / 3;
    }

    row(segment) {
        const { words, cells } = this.describe(segment);
        const choice = make("label");
        const start = segment.start.toFixed(3);
        choice.append(make("input", "", { type: "radio", name: this.name, "data-start": start }), make("span"));
        const row = make("tr", "", { "data-words": words });
        for (const content of [choice, ...cells]) {
            const cell = make("td");
            cell.append(content);
            row.append(cell);
        }
        return row;
    }
}
