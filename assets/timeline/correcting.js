// Mouse, keys and controls of the tab "Recording" for corrections and explanations; the end starts the tab.

Object.assign(actions, {
    explain,
    corpus: () => save("corpus"),
    compare,
    ...Object.fromEntries(Object.entries(edits).map(([name, change]) => [name, () => edit(change)])),
});

Object.assign(keys, {
    "[": () => chosen !== null && setEdges(audio.currentTime, segments.list[chosen].end),
    "]": () => chosen !== null && setEdges(segments.list[chosen].start, audio.currentTime),
    s: actions.split,
    m: actions.merge,
    e: explain,
    "Control z": actions.undo,
    ...Object.fromEntries(props.emotions.map(({ name }, i) => [i + 1, () => setLabel(name)])),
});

grip = {
    at(x, width) {
        if (chosen === null) return null;
        const near = (edge) => Math.abs(axis.x(segments.list[chosen][edge], width) - x) <= EDGE_PX;
        return ["start", "end"].find(near) ?? null;
    },
    drag(drag, time) {
        if (drag.edited) segments.undo(); // one drag is one step to undo
        const before = segments.list;
        const edges = { ...segments.list[chosen], [drag.edge]: time };
        setEdges(edges.start, edges.end);
        drag.edited = segments.list !== before;
    },
};

nameDropArea("drop");
props.labels.forEach((label) => part("label").append(make("option", emotionName(label), { value: label })));
part("label").addEventListener("change", () => setLabel(part("label").value));
for (const edge of ["start", "end"]) {
    part(edge).addEventListener("change", () => {
        const edges = { ...segments.list[chosen], [edge]: Number(part(edge).value) };
        setEdges(edges.start, edges.end);
    });
}
part("voice").addEventListener("change", () => {
    const voice = part("voice").value;
    edit(() => segments.give(chosen, voice === NEW_VOICE ? voices.next() : voice));
});
watch("value", load);
watch("spectrogram", loadPicture);
watch("reply", receive);
load();
loadPicture();
