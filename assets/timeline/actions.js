// Actions on a recording other than playback: choose, correct, explain, save. Gradio gives `trigger`.

function choose(index, playing = false) {
    if (chosen !== index || index === null) lanes.explanation = null;
    part("words").textContent = lanes.explanation?.words ?? "";
    goTo(index, playing);
    if (index !== null) part("announcer").textContent = `${voices.nameIn(segments.list[index])} ${title(index)}: ${likely(segments.list[index])}`.trim();
    showDetails();
    redraw(false);
}

function edit(change) {
    if (chosen === null) return;
    change();
    chosen = Math.min(chosen, segments.list.length - 1);
    lanes.explanation = null;
    part("words").textContent = "";
    refresh();
    table.choose(chosen);
    showDetails();
}

const edits = {
    confirm: () => segments.label(chosen, segments.list[chosen].label),
    split: () => segments.canSplit(chosen, audio.currentTime) && segments.split(chosen, audio.currentTime),
    merge: () => segments.beside(chosen, 1) !== null && segments.merge(chosen),
    undo: () => segments.undo(),
};

function setEdges(start, end) {
    edit(() => segments.move(chosen, start, end));
}

function setLabel(label) {
    edit(() => segments.label(chosen, label));
}

function explain() {
    if (chosen === null) return;
    if (lanes.explanation) {
        lanes.explanation = null;
        part("words").textContent = "";
        showDetails();
        return redraw();
    }
    const { start, end, label, channel } = segments.list[chosen];
    part("words").textContent = phrase("timeline.explaining");
    trigger("explain", { number: ++requestNumber, start, end, label, channel });
}

function save(format) {
    const list = segments.list.map(({ start, end, label, of, checked, voice }) =>
        ({ start, end, label, of, checked, voice: voice === null ? null : voices.nameOf(voice) }));
    trigger("save", { number: ++requestNumber, format, segments: list });
}

// Opens the recording in the tab Compare.
async function compare() {
    const response = await fetch(content.audio);
    if (!response.ok) return say(phrase("files.gone"));
    giveTo("compare", "drop-compared", new File([await response.blob()], content.file));
}

async function receive() {
    const reply = props.reply ? JSON.parse(props.reply) : null;
    if (!reply || reply.number !== requestNumber) return; // a reply to an earlier request
    if (reply.kind === "problem") {
        part("words").textContent = "";
        say(reply.words);
    }
    if (reply.kind === "file") saveFile(new Blob([reply.text], { type: "text/plain" }), reply.name);
    if (reply.kind === "explanation") {
        const picture = await decode(reply.image);
        if (reply.number !== requestNumber || chosen === null) return;
        lanes.explanation = { ...reply, picture };
        part("words").textContent = reply.words;
        axis.show(reply.start, reply.end);
        showDetails();
        redraw();
    }
}
