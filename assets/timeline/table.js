// The segments as a table: what the lanes show, in words; its rows are chosen by mouse or arrow keys.

class Table {
    constructor(body, colorOf) {
        Object.assign(this, { body, colorOf, keys: [] });
    }

    // Only rows that changed are made anew.
    show(whole, segments) {
        const all = [whole, ...segments];
        all.forEach((found, number) => {
            const key = `${found.start} ${found.end} ${found.label} ${found.confidence} ${found.checked}`;
            if (this.keys[number] === key) return;
            const row = this.row(number, found);
            const old = this.body.rows[number];
            if (old) {
                row.querySelector("input").checked = old.querySelector("input").checked;
                old.replaceWith(row);
            } else {
                this.body.append(row);
            }
            this.keys[number] = key;
        });
        while (this.body.rows.length > all.length) this.body.lastElementChild.remove();
        this.keys.length = all.length;
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

    row(number, found) {
        const { start, end, label, confidence, checked } = found;
        const silent = label === NO_SPEECH;
        const name = silent ? "no speech" : nameOf(found);
        const share = silent ? "–" : percent(confidence);
        const words = [number ? `Segment ${number}` : "Whole recording", name, share, ...(checked ? ["checked"] : [])];
        const radio = make("input", "", {
            type: "radio", name: "segment", value: number || "", "data-start": start.toFixed(3), "aria-label": words.join(", "),
        });
        const choice = make("label");
        choice.append(radio, make("span", number || "All"));
        const emotion = make("span", "", { class: "emotion" });
        if (!silent) emotion.append(swatch(this.colorOf(label)));
        emotion.append(checked ? `${name} ✓` : name);
        const row = make("tr");
        for (const content of [choice, clock(start, true), clock(end, true), emotion, share]) {
            const cell = make("td");
            cell.append(content);
            row.append(cell);
        }
        return row;
    }
}
