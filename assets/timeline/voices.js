// The voices of the open recording: their names, which of them is shown alone, and joining two of them.

const NEW_VOICE = "+"; // in the list of voices that a segment may be given to
const LISTED_LABELS = 3; // of a voice

class Voices {
    // `rows`: a list with a row for each voice; `choice`: the select with the voice of the chosen segment.
    constructor(card, rows, whose, choice) {
        Object.assign(this, { card, rows, whose, choice, names: new Map(), several: false, apart: false, written: null });
    }

    // Of a recording that has just been opened.
    open(found) {
        this.names = new Map();
        this.written = null;
        this.apart = found.some(({ channel }) => channel);
        this.several = new Set(found.map(({ voice }) => voice)).size > 1; // stays, so that a joined voice can be split
        lanes.only = null;
        lanes.nameOfVoice = (voice) => this.nameOf(voice);
    }

    nameOf(voice) {
        return this.names.get(voice) || voice;
    }

    // The name of the voice of a segment; empty where there is nothing to tell apart.
    nameIn(segment) {
        return this.several && segment.voice ? this.nameOf(segment.voice) : "";
    }

    title(voice) {
        return phrase("voices.one_voice", { voice: this.nameOf(voice) });
    }

    // The id of a voice that does not exist yet.
    next() {
        for (let code = 65; ; code++) {
            const voice = String.fromCharCode(code);
            if (!segments.voices.includes(voice)) return voice;
        }
    }

    // Updates rows and lanes after an edit.
    show() {
        const found = this.several ? segments.voices : [];
        if (!found.includes(lanes.only)) lanes.only = null;
        lanes.arrange(found, this.apart);
        this.card.hidden = this.whose.hidden = !this.several;
        if (!this.several) return;
        this.rows.replaceChildren(this.row(null), ...found.map((voice) => this.row(voice)));
        const options = found.map((voice) => make("option", this.nameOf(voice), { value: voice }));
        this.choice.replaceChildren(...options, make("option", phrase("voices.new"), { value: NEW_VOICE }));
    }

    // The verdict above the timeline: what the server wrote, until segments, voices or names are changed.
    sayVerdict() {
        const title = document.querySelector("#answer .verdict h2");
        if (!title || !this.several) return;
        if (!segments.changed && ![...this.names.values()].some(Boolean)) {
            if (this.written !== null) title.textContent = this.written;
            this.written = null;
            return;
        }
        this.written ??= title.textContent;
        const found = segments.voices.filter((voice) => voice !== UNSURE_VOICE).map((voice) => {
            const own = segments.list.filter((one) => one.voice === voice);
            return { voice: this.nameOf(voice), shares: sharesOf(own), turn: turnOf(own) };
        });
        title.textContent = voicesText(found);
    }

    // A row: show this voice alone (null: all of them), its name, how it sounds, and which one to join it with.
    row(voice) {
        const row = make("div");
        const choice = make("label");
        const radio = make("input", "", { type: "radio", name: "shown-voice", value: voice ?? "" });
        radio.checked = lanes.only === voice;
        radio.addEventListener("change", () => this.only(voice));
        choice.append(radio, make("span", voice ?? phrase("voices.all")));
        row.append(choice);
        if (voice === null) return row;
        if (voice !== UNSURE_VOICE) row.append(this.nameInput(voice));
        row.append(make("span", this.facts(voice), { class: "sounds" }));
        const others = segments.voices.filter((other) => other !== voice && other !== UNSURE_VOICE);
        if (others.length) row.append(this.joinSelect(voice, others));
        return row;
    }

    nameInput(voice) {
        const input = make("input", "", { type: "text", maxlength: 40, placeholder: voice, "aria-label": phrase("voices.name_of", { voice }) });
        input.value = this.names.get(voice) ?? "";
        input.addEventListener("change", () => {
            this.names.set(voice, input.value.replace(/[\p{C}\s]+/gu, " ").trim());
            this.renamed(`[aria-label="${CSS.escape(input.ariaLabel)}"]`);
        });
        return input;
    }

    joinSelect(voice, others) {
        const select = make("select", "", { "aria-label": phrase("voices.join_of", { voice: this.nameOf(voice) }) });
        select.append(make("option", phrase("voices.join"), { value: "" }));
        others.forEach((other) => select.append(make("option", this.nameOf(other), { value: other })));
        select.addEventListener("change", () => {
            if (!select.value) return;
            segments.join(select.value, voice);
            this.names.delete(voice);
            part("announcer").textContent = phrase("voices.joined", { voice, other: this.nameOf(select.value) });
            this.renamed(`input[name="shown-voice"][value=""]`);
        });
        return select;
    }

    // How long a voice speaks, and how it sounds.
    facts(voice) {
        const own = segments.list.filter((one) => one.voice === voice);
        const seconds = speakingTime(own);
        const total = Object.values(seconds).reduce((sum, s) => sum + s, 0);
        const shares = Object.entries(seconds).slice(0, LISTED_LABELS);
        const parts = shares.map(([label, s]) => `${percent(s / total)} ${emotionName(label === UNKNOWN ? "unclear" : label)}`);
        const channel = own[0].channel && phrase("voices.on_channel", { channel: own[0].channel });
        return [clock(total), channel, parts.join(", ")].filter(Boolean).join(" · ");
    }

    // Shows one voice alone.
    only(voice) {
        lanes.only = voice;
        choose(null);
        redraw();
        part("announcer").textContent = voice === null ? phrase("voices.all") : `${this.title(voice)}: ${this.facts(voice)}`;
    }

    // After names or voices have changed: all rows are made anew, and the focus goes back to where it was.
    renamed(focus) {
        table.rowOf = new WeakMap();
        refresh();
        table.choose(chosen);
        showDetails();
        this.rows.querySelector(focus)?.focus();
    }
}
