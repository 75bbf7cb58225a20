// What Gradio says in English alone, in our words: errors, the queue, uploads, and what is read aloud.

const SAID = [
    [/^Error\s*$/, "refusal.title"],
    [/^This application is currently busy/, "refusal.busy"],
    [/^Connection Lost/, "gradio.lost_title"],
    [/^Connection to the server was lost/, "gradio.lost"],
    [/^Connection errored out/, "gradio.broken"],
    [/^queue: (?<place>\d+)\/(?<all>\d*)/, "gradio.queue"],
    [/^processing/, "gradio.processing"],
    [/^Uploading \d/, "gradio.uploading"],
];
const READ_OUT = { Close: "gradio.close", Progress: "gradio.progress", "Select input device": "live.microphone" };

function sayOurs(text) {
    const said = text.data.trim();
    const [pattern, key] = SAID.find(([one]) => one.test(said)) ?? [];
    const ours = key && phrase(key, pattern.exec(said).groups);
    if (key && text.data !== ours) text.data = ours; // not again and again: each change is observed
}

function readOutOurs(box) {
    const key = READ_OUT[box.ariaLabel];
    if (key) box.ariaLabel = phrase(key);
}

// In what Gradio made, not in what a tab of ours did.
function translate(node) {
    const box = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement;
    if (!box || box.closest(".html-container")) return;
    if (node.nodeType === Node.TEXT_NODE) sayOurs(node);
    if (node !== box) return;
    readOutOurs(box);
    box.childNodes.forEach(translate);
}

new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
        if (type === "characterData") translate(target);
        else addedNodes.forEach(translate);
    }
}).observe(document.body, { childList: true, characterData: true, subtree: true });
translate(document.body);
