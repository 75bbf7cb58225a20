// The segments as a table: what the lanes show, in words; its rows are chosen by mouse or arrow keys.

class Table {
    constructor(body, colorOf) {
        Object.assign(this, { body, colorOf, made: new WeakMap() }); // a segment's row
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
        radio.setAttribute("aria-label", `${number ? `Segment ${number}` : "Whole recording"}, ${row.dataset.words}`);
        row.querySelector("label span").textContent = number || "All";
    }

    // `chosen`: a segment's index, or null for the whole recording.
    choose(chosen) {
        const radio = this.radio(chosen);
        radio.checked = true;
        const box = this.body.closest(".segments"); // not scrollIntoView: the page itself must not move
        const [row, frame] = [radio.closest("tr").getBoundingClientRect(), box.getBoundingClientRect()];
        if (row.top < frame.top || row.bottom > frame.bottom) box.scrollTop += row.top - frame.top - frame.height / 3;
    }

    radio(chosen) {
        return this.body.rows[chosen === null ? 0 : chosen + 1].querySelector("input");
    }

    row(found) {
        const { start, end, label, confidence, checked } = found;
        const silent = label === NO_SPEECH;
        const name = silent ? "no speech" : nameOf(found);
        const share = silent ? "–" : percent(confidence);
        const choice = make("label");
        choice.append(make("input", "", { type: "radio", name: "segment", "data-start": start.toFixed(3) }), make("span"));
        const emotion = make("span", "", { class: "emotion" });
        if (!silent) emotion.append(swatch(this.colorOf(label)));
        emotion.append(checked ? `${name} ✓` : name);
        const row = make("tr", "", { "data-words": `${name}, ${share}${checked ? ", checked" : ""}` });
        for (const content of [choice, clock(start, true), clock(end, true), emotion, share]) {
            const cell = make("td");
            cell.append(content);
            row.append(cell);
        }
        return row;
    }
}
