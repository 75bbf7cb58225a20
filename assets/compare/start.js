// What can be done with a comparison beside looking at it and playing it; and its start. Gradio gives `trigger` and `watch`.

function choose(index, playing = false) {
    goTo(index, playing);
    const found = index === null ? null : segments.list[index];
    if (found) {
        const { words } = AGREEMENTS[found.agreement.kind];
        part("announcer").textContent = `${title(index)}, ${words}: ${tell(found.answers, found.agreement)}`;
    }
    showDetails();
    redraw(false);
}

// To the next segment on which the models differ, from the first one again after the last.
function nextDifference() {
    const { list } = segments;
    const order = list.map((_, i) => (i + (chosen ?? -1) + 1) % list.length);
    const next = order.find((i) => list[i].agreement.kind === "different");
    if (next === undefined) say(phrase("compare.nowhere"));
    else choose(next, true);
}

function save(format) {
    trigger("save", { number: ++asked, format });
}

function receive() {
    const reply = props.reply ? JSON.parse(props.reply) : null;
    if (reply?.number !== asked) return;
    if (reply.kind === "problem") return say(reply.words);
    saveFile(new Blob([reply.text], { type: "text/plain" }), reply.name);
}

nameDropArea("drop-compared");
actions.difference = nextDifference;
keys.d = nextDifference;
watch("value", load);
watch("reply", receive);
load();
