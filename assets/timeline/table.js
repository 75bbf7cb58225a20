// The segments as a table: what the lanes show, in words; its rows are chosen by mouse or arrow keys.

class Table {
    // `tell(found)`: what a row says in `words` to who does not see it, and its `cells` after the number.
    // `name`: of its radio buttons, another one in each table of the page.
    constructor(body, name, tell) {
        Object.assign(this, { body, name, tell, made: new WeakMap(), chosen: null }); // made: a segment's row
    }

    // A segment that has not changed keeps its row, which at most gets another number.
    show(whole, segments) {
        const rows = [whole, ...segments].map((found) => {
            const row = this.made.get(found) ?? this.row(found);
            this.made.set(found, row);
            return row;
        });
        const wanted = new Set(rows);
        [...this.body.children].forEach((row) => wanted.has(row) || row.remove());
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
        this.chosen?.classList.remove("chosen"); // not tr:has(:checked), for which every row is styled anew
        this.chosen = this.body.rows[chosen === null ? 0 : chosen + 1];
        this.chosen.classList.add("chosen");
        this.chosen.querySelector("input").checked = true;
        const box = this.body.closest(".segments"); // not scrollIntoView: the page itself must not move
        const [row, frame] = [this.chosen.getBoundingClientRect(), box.getBoundingClientRect()];
        if (row.top < frame.top || row.bottom > frame.bottom) box.scrollTop += row.top - frame.top - frame.height / 3;
    }

    row(found) {
        const { words, cells } = this.tell(found);
        const choice = make("label");
        const start = found.start.toFixed(3);
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
