// Actions on a comparison other than navigation and playback; the end starts the tab. Gradio gives `trigger` and `watch`.

function choose(index, playing = false) {
    goTo(index, playing);
    const segment = index === null ? null : segments.list[index];
    if (segment) {
        const { words } = AGREEMENTS[segment.agreement.kind];
        part("announcer").textContent = `${title(index)}, ${words}: ${answersText(segment.answers, segment.agreement)}`;
    }
    showDetails();
    redraw(false);
}

// Chooses the next segment on which the models differ; after the last one, the first.
function nextDifference() {
    const { list } = segments;
    const order = list.map((_, i) => (i + (chosen ?? -1) + 1) % list.length);
    const next = order.find((i) => list[i].agreement.kind === "different");
    if (next === undefined) say(phrase("compare.nowhere"));
    else choose(next, true);
}

function save(format) {
    trigger("save", { number: ++requestNumber, format });
}

function receive() {
    const reply = props.reply ? JSON.parse(props.reply) : null;
    if (reply?.number !== requestNumber) return;
    if (reply.kind === "problem") return say(reply.words);
    saveFile(new Blob([reply.text], { type: "text/plain" }), reply.name);
}

nameDropArea("drop-compared");
actions.difference = nextDifference;
keys.d = nextDifference;
watch("value", load);
watch("reply", receive);
load();
