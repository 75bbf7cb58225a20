// Translates texts that Gradio has in English only: errors, the queue, uploads, and labels for screen readers.

const GRADIO_TEXTS = [
    [/^Error\s*$/, "refusal.title"],
    [/^This application is currently busy/, "refusal.busy"],
    [/^Connection Lost/, "gradio.lost_title"],
    [/^Connection to the server was lost/, "gradio.lost"],
    [/^Connection errored out/, "gradio.broken"],
    [/^queue: (?<place>\d+)\/(?<all>\d*)/, "gradio.queue"],
    [/^processing/, "gradio.processing"],
    [/^Uploading \d/, "gradio.uploading"],
];
const GRADIO_LABELS = { Close: "gradio.close", Progress: "gradio.progress", "Select input device": "live.microphone" };

function translateText(text) {
    const original = text.data.trim();
    const [pattern, key] = GRADIO_TEXTS.find(([candidate]) => candidate.test(original)) ?? [];
    const translation = key && phrase(key, pattern.exec(original).groups);
    if (key && text.data !== translation) text.data = translation; // only if different: each change triggers the observer
}

function translateLabel(box) {
    const key = GRADIO_LABELS[box.ariaLabel];
    if (key) box.ariaLabel = phrase(key);
}

// Translates an element that Gradio created; the tabs' own elements are skipped.
function translate(node) {
    const box = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement;
    if (!box || box.closest(".html-container")) return;
    if (node.nodeType === Node.TEXT_NODE) translateText(node);
    if (node !== box) return;
    translateLabel(box);
    box.childNodes.forEach(translate);
}

new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
        if (type === "characterData") translate(target);
        else addedNodes.forEach(translate);
    }
}).observe(document.body, { childList: true, characterData: true, subtree: true });
translate(document.body);
